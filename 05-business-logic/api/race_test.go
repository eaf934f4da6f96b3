//go:build race

package api_test

func raceEnabled() bool { return true }
