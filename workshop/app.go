package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"clicktocode.example/workshop/check"
	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/show"
)

// errRed says that something is red, and that the learner was told what.
var errRed = errors.New("red")

// misuseError says that the command line is wrong, and how it would be right.
type misuseError struct{ text string }

func (e *misuseError) Error() string { return e.text }

func misuse(format string, args ...any) error { return &misuseError{fmt.Sprintf(format, args...)} }

// app is what a verb works with.
type app struct {
	course         *course.Course
	stdout, stderr io.Writer
}

// flags reads a verb's flags and arguments, which may stand in any order.
func (a *app) flags(name, args string, define func(*flag.FlagSet), given []string) ([]string, error) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	var said strings.Builder
	fs.SetOutput(&said)
	if define != nil {
		define(fs)
	}
	fs.Usage = func() {
		fmt.Fprintf(&said, "usage: go run ./workshop %s %s\n", name, args)
		fs.PrintDefaults()
	}
	var rest []string
	for {
		if err := fs.Parse(given); errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(a.stdout, said.String())
			return nil, err
		} else if err != nil {
			return nil, misuse("%s", strings.TrimSpace(said.String()))
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, fs.Arg(0))
		given = fs.Args()[1:]
	}
}

// isTerminal reports whether w is a terminal that can be painted on.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// page is how text is set for standard output.
func (a *app) page() show.Page {
	if !isTerminal(a.stdout) {
		return show.Page{}
	}
	width, _, err := term.GetSize(int(a.stdout.(*os.File).Fd()))
	if err != nil {
		width = 0
	}
	return show.Page{Color: show.Color(), Width: width}
}

// one is the exercise that the arguments name: by name, by number, or none,
// where it is the one whose folder this is, or else the next unsolved.
func (a *app) one(ctx context.Context, name string, args []string) (*course.Exercise, error) {
	if len(args) > 1 {
		return nil, misuse("%s takes one exercise, not %d: go run ./workshop %s %s", name, len(args), name, args[0])
	}
	if len(args) == 1 {
		e, err := a.course.Exercise(args[0])
		if err != nil {
			return nil, misuse("%v", err)
		}
		return e, nil
	}
	if wd, err := os.Getwd(); err == nil {
		if e := a.course.At(wd); e != nil {
			return e, nil
		}
	}
	states, err := check.All(ctx, a.course, a.course.Chapters...)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if !s.Solved() {
			return s.Exercise, nil
		}
	}
	return nil, misuse("all exercises are solved: name the one that you mean")
}
