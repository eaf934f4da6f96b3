// Command workshop is the guide through From Click to Code: it shows the next
// exercise and tests it on every save, runs the stack of a chapter, and checks
// that the workshop itself is sound. It runs the chapters and imports none.
//
// Run it from any folder of the clone:
//
//	go run ./workshop VERB     from the clone's first folder
//	go tool workshop VERB      from any folder
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/proc"
)

// Exit codes.
const (
	exitFine   = 0
	exitRed    = 1 // a test is red, or something did not work
	exitMisuse = 2 // the command line is wrong
)

func main() { os.Exit(Main()) }

// Main runs the command line in os.Args and returns the exit code. It is apart
// from main for the tests, which run it in a process of its own.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, release := proc.Orphaned(ctx)
	defer release()

	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	var misuse *misuseError
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errRed):
		return exitRed // it was said already
	case errors.Is(err, flag.ErrHelp):
		return exitFine
	case errors.As(err, &misuse):
		fmt.Fprintln(os.Stderr, "workshop: "+err.Error())
		return exitMisuse
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "workshop: stopped")
		return exitRed
	}
	fmt.Fprintln(os.Stderr, "workshop: "+err.Error())
	return exitRed
}

// verb is one word of the command line. Its run reads its own flags and arguments.
type verb struct {
	name, args, does string
	run              func(ctx context.Context, a *app, args []string) error
}

// verbs are all of them, in the order of the help.
func verbs() []verb {
	return []verb{
		{"watch", "[EXERCISE]", "the guide: the next exercise, tested on every save (also without a verb)", watch},
		{"up", "[CHAPTER]", "run the stack of a chapter, by default the last; --mine with your solved packages in it", up},
		{"click", "[URL]", "one request through the running stack, phase by phase", click},
		{"test", "[EXERCISE]", "test one exercise, by default the next", test},
		{"hint", "EXERCISE [N]", "its hints, the first N of them", hint},
		{"lesson", "[EXERCISE]", "its section of the lesson", lesson},
		{"diff", "EXERCISE", "what differs between your files and the reference", diff},
		{"reset", "EXERCISE", "back to the starter; a copy of your files is kept", reset},
		{"solve", "EXERCISE", "put the reference in; a copy of your files is kept", solve},
		{"progress", "[--json]", "what is solved, by testing it", progress},
		{"doctor", "", "check this machine, and warm Go's caches", doctor},
		{"verify", "[CHAPTER|EXERCISE …]", "prove that the workshop itself is sound (for authors)", verifyVerb},
		{"generate", "[EXERCISE …]", "derive exercise/ from solution/ (for authors)", generate},
		{"new", "CHAPTER/EXERCISE", "lay out a new exercise (for authors)", newExercise},
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := "watch"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if name == "help" || len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") && name == "watch" {
		usage(stdout)
		return nil
	}
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
		if v.name != name {
			continue
		}
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		c, err := course.Open(wd)
		if err != nil {
			return err
		}
		if name != "verify" {
			for _, fault := range c.Faults {
				fmt.Fprintf(stderr, "workshop: %v\n", fault)
			}
		}
		return v.run(ctx, &app{c, stdout, stderr}, args)
	}
	return misuse("there is no verb %q%s", name, course.Suggest(name, names))
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: go run ./workshop [VERB]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(w, "  %-28s %s\n", strings.TrimSpace(v.name+" "+v.args), v.does)
	}
	fmt.Fprint(w, "\nFlags of a verb: go run ./workshop VERB --help\n")
}
