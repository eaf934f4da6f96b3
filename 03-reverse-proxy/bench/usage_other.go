//go:build !linux

package main

import "time"

// Below zero is "not measured here".

func cpu(int) time.Duration { return -1 }

func peak(int) float64 { return -1 }
