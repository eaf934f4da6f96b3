package main

import (
	"context"
	"flag"
	"os"

	"clicktocode.example/workshop/guide"
)

func watch(ctx context.Context, a *app, args []string) error {
	plain := false
	args, err := a.flags("watch", "[EXERCISE]", func(fs *flag.FlagSet) {
		fs.BoolVar(&plain, "plain", false, "print lines, and paint nothing over")
	}, args)
	if err != nil {
		return err
	}
	config := guide.Config{
		Screen: !plain && isTerminal(a.stdout) && isTerminal(os.Stdin),
		Page:   a.page(), In: os.Stdin, Out: a.stdout,
	}
	if len(args) > 0 {
		if config.Start, err = a.one(ctx, "watch", args); err != nil {
			return err
		}
	}
	return orStopped(ctx, guide.Run(ctx, a.course, config))
}
