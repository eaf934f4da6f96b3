package main

import "context"

func watch(ctx context.Context, a *app, args []string) error { return nil }
func up(ctx context.Context, a *app, args []string) error    { return nil }
func click(ctx context.Context, a *app, args []string) error { return nil }
func doctor(ctx context.Context, a *app, args []string) error { return nil }
