package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"clicktocode.example/workshop/check"
	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/show"
	"clicktocode.example/workshop/stack"
)

func up(ctx context.Context, a *app, args []string) error {
	withMine := false
	args, err := a.flags("up", "[CHAPTER]", func(fs *flag.FlagSet) {
		fs.BoolVar(&withMine, "mine", false, "put your solved packages in the place of the reference's")
	}, args)
	if err != nil {
		return err
	}
	if len(args) > 1 {
		return misuse("up takes one chapter, not %d", len(args))
	}
	ch, err := a.course.Chapter(strings.Join(args, ""))
	if err != nil {
		return misuse("%v", err)
	}
	if r, err := stack.Find(a.course); err == nil {
		return fmt.Errorf("the stack of %s is running already (process %d): end it with Ctrl-C in its terminal first", r.Chapter, r.PID)
	}
	p := a.page()
	var mine []*course.Exercise
	if withMine {
		if mine, err = a.solved(ctx, ch); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stdout, "%s\n", p.Faint("building "+ch.Name+" …"))
	began := time.Now()
	program, err := stack.Build(ctx, a.course, ch, mine)
	if err != nil {
		return err
	}
	built := time.Since(began)
	if withMine {
		a.sayMine(p, program, mine)
	}

	began = time.Now()
	return orStopped(ctx, program.Up(ctx, func(e stack.Event) {
		if e.Event != "up" {
			fmt.Fprintln(a.stdout, line(p, e))
			return
		}
		fmt.Fprintf(a.stdout, "\n%s  %s\n", p.Good("ready"), p.Faint(fmt.Sprintf("built in %s, started in %s", built.Round(10*time.Millisecond), time.Since(began).Round(time.Millisecond))))
		fmt.Fprintf(a.stdout, "%s\n\n", p.Link(program.URL))
		for _, t := range program.Try {
			fmt.Fprintf(a.stdout, "  %s\n      %s\n", t.What, p.Bold(t.Command))
		}
		fmt.Fprintf(a.stdout, "\n%s\n\n", p.Faint("Ctrl-C ends it. Requests show up here:"))
	}))
}

// orStopped makes being told to stop no error: that is how up ends.
func orStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// solved are the learner's solved exercises of ch and of the chapters before it.
func (a *app) solved(ctx context.Context, ch *course.Chapter) ([]*course.Exercise, error) {
	last := slices.Index(a.course.Chapters, ch)
	states, err := check.All(ctx, a.course, a.course.Chapters[:last+1]...)
	if err != nil {
		return nil, err
	}
	var mine []*course.Exercise
	for _, s := range states {
		if s.Solved() {
			mine = append(mine, s.Exercise)
		}
	}
	return mine, nil
}

func (a *app) sayMine(p show.Page, program *stack.Program, solved []*course.Exercise) {
	var names []string
	for _, e := range program.Mine {
		names = append(names, e.Name)
	}
	switch {
	case len(solved) == 0:
		fmt.Fprintln(a.stdout, "None of your exercises is solved yet, so all of it is the reference.")
	case len(names) == 0:
		fmt.Fprintln(a.stdout, "All of it is the reference.")
	default:
		fmt.Fprintf(a.stdout, "Yours: %s. The rest is the reference.\n", p.Good(strings.Join(names, ", ")))
	}
	for _, e := range solved {
		if why, misfit := program.Misfits[e]; misfit {
			fmt.Fprintf(a.stdout, "%s is solved, but does not fit the others, so the reference takes its place:\n%s\n", p.Bad(e.Name), p.Faint(why))
		}
	}
}

// line is an event as one readable line.
func line(p show.Page, e stack.Event) string {
	at := p.Faint(e.Time.Local().Format("15:04:05.000"))
	role := p.Bold(fmt.Sprintf("%-8s", e.Role))
	switch e.Event {
	case "ready":
		return fmt.Sprintf("%s %s %s", at, role, "listens on "+e.Addr)
	case "request":
		var detail []string
		for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
			detail = append(detail, k+"="+e.Detail[k])
		}
		took := ""
		if e.Micros > 0 {
			took = "  " + show.Millis(e.Micros)
		}
		return fmt.Sprintf("%s %s %s%s  %s", at, role, e.Summary, took, p.Faint(strings.Join(detail, " ")))
	case "died":
		return fmt.Sprintf("%s %s %s", at, role, p.Bad("died: ")+e.Summary)
	case "stopped":
		return fmt.Sprintf("%s %s %s", at, role, "stopped")
	}
	return fmt.Sprintf("%s %s %s", at, role, p.Faint(e.Summary))
}

func click(ctx context.Context, a *app, args []string) error {
	n, asJSON := 1, false
	args, err := a.flags("click", "[URL]", func(fs *flag.FlagSet) {
		fs.IntVar(&n, "n", 1, "how many requests, one behind the other")
		fs.BoolVar(&asJSON, "json", false, "print one JSON object a request")
	}, args)
	if err != nil {
		return err
	}
	if len(args) > 1 || n < 1 {
		return misuse("click takes one URL, and -n at least 1: go run ./workshop click -n 2")
	}
	r, err := stack.Find(a.course)
	if err != nil {
		return err
	}
	p := a.page()
	encode := json.NewEncoder(a.stdout)
	failed := 0
	err = r.Click(ctx, a.course, strings.Join(args, ""), n, func(c stack.Click) {
		if c.Status >= 500 {
			failed++
		}
		if asJSON {
			_ = encode.Encode(c) // standard output that is gone ends the program anyway
			return
		}
		fmt.Fprintln(a.stdout, p.Waterfall(c))
	})
	if err == nil && failed > 0 {
		return errRed
	}
	return err
}
