package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"

	udiff "github.com/aymanbagabas/go-udiff"

	"clicktocode.example/workshop/check"
	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/gotest"
)

func test(ctx context.Context, a *app, args []string) error {
	all := false
	args, err := a.flags("test", "[EXERCISE]", func(fs *flag.FlagSet) {
		fs.BoolVar(&all, "all", false, "show all that go test printed")
	}, args)
	if err != nil {
		return err
	}
	e, err := a.one(ctx, "test", args)
	if err != nil {
		return err
	}
	v, err := check.Exercise(ctx, a.course, e)
	if err != nil {
		return err
	}
	p := a.page()
	fmt.Fprintf(a.stdout, "%s\n\n%s", p.Head(e), p.Verdict(e, v))
	if all {
		fmt.Fprintf(a.stdout, "\n%s", v.Rest)
	}
	if v.Kind != gotest.Solved {
		return errRed
	}
	fmt.Fprintf(a.stdout, "\n%s\n", p.Markdown("**Try it.** "+e.Try))
	return nil
}

func hint(ctx context.Context, a *app, args []string) error {
	args, err := a.flags("hint", "EXERCISE [N]", nil, args)
	if err != nil {
		return err
	}
	n := 1
	if len(args) == 2 {
		if n, err = strconv.Atoi(args[1]); err != nil || n < 1 {
			return misuse("%q is no number of hints: go run ./workshop hint %s 2", args[1], args[0])
		}
		args = args[:1]
	}
	e, err := a.one(ctx, "hint", args)
	if err != nil {
		return err
	}
	p := a.page()
	for i, text := range e.Hints[:min(n, len(e.Hints))] {
		fmt.Fprintf(a.stdout, "%s\n%s\n\n", p.Bold(fmt.Sprintf("Hint %d of %d", i+1, len(e.Hints))), p.Markdown(text))
	}
	if n < len(e.Hints) {
		fmt.Fprintf(a.stdout, "%s\n", p.Faint(fmt.Sprintf("The next one: go run ./workshop hint %s %d", e.Name, n+1)))
	}
	return nil
}

func lesson(ctx context.Context, a *app, args []string) error {
	args, err := a.flags("lesson", "[EXERCISE]", nil, args)
	if err != nil {
		return err
	}
	e, err := a.one(ctx, "lesson", args)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, a.page().Markdown(e.LessonWithoutHints()))
	return nil
}

func diff(ctx context.Context, a *app, args []string) error {
	args, err := a.flags("diff", "EXERCISE", nil, args)
	if err != nil {
		return err
	}
	e, err := a.one(ctx, "diff", args)
	if err != nil {
		return err
	}
	text, err := e.Diff(udiff.Unified)
	if err != nil {
		return err
	}
	if text == "" {
		text = "Your files are the reference, to the letter.\n"
	}
	fmt.Fprint(a.stdout, text)
	return nil
}

func reset(ctx context.Context, a *app, args []string) error {
	return a.replace(ctx, "reset", args, (*course.Exercise).Starter, "is back at its starter")
}

func solve(ctx context.Context, a *app, args []string) error {
	return a.replace(ctx, "solve", args, (*course.Exercise).Reference, "holds the reference now")
}

func (a *app) replace(ctx context.Context, name string, args []string, files func(*course.Exercise) (map[string][]byte, error), done string) error {
	args, err := a.flags(name, "EXERCISE", nil, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return misuse("%s replaces files, so it takes the exercise by name: go run ./workshop %s %s", name, name, a.course.Exercises()[0].Name)
	}
	e, err := a.one(ctx, name, args)
	if err != nil {
		return err
	}
	want, err := files(e)
	if err != nil {
		return err
	}
	starter, err := e.Starter()
	if err != nil {
		return err
	}
	reference, err := e.Reference()
	if err != nil {
		return err
	}
	kept, err := a.course.Replace(e, want, starter, reference)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s %s: %s\n", e.Name, done, e.File())
	if kept != "" {
		fmt.Fprintf(a.stdout, "A copy of your files is in %s\n", kept)
	}
	return nil
}

func progress(ctx context.Context, a *app, args []string) error {
	asJSON := false
	args, err := a.flags("progress", "[--json]", func(fs *flag.FlagSet) {
		fs.BoolVar(&asJSON, "json", false, "print one JSON object")
	}, args)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return misuse("progress takes no arguments, got %q", args)
	}
	states, err := check.All(ctx, a.course, a.course.Chapters...)
	if err != nil {
		return err
	}
	solved := 0
	for _, s := range states {
		if s.Solved() {
			solved++
		}
	}
	if !asJSON {
		fmt.Fprint(a.stdout, a.page().List(states, nil))
		fmt.Fprintf(a.stdout, "\n%d of %d solved\n", solved, len(states))
		return nil
	}
	type row struct {
		Chapter  string `json:"chapter"`
		Exercise string `json:"exercise"`
		Number   string `json:"number"`
		Title    string `json:"title"`
		Track    string `json:"track,omitempty"`
		Touched  bool   `json:"touched"`
		Solved   bool   `json:"solved"`
		Verdict  string `json:"verdict,omitempty"`
	}
	out := struct {
		Solved    int   `json:"solved"`
		Total     int   `json:"total"`
		Exercises []row `json:"exercises"`
	}{Solved: solved, Total: len(states), Exercises: []row{}}
	for _, s := range states {
		e := s.Exercise
		out.Exercises = append(out.Exercises, row{e.Chapter.Name, e.Name, e.Number, e.Title, e.Track, s.Touched, s.Solved(), string(s.Verdict.Kind)})
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
