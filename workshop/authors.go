package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/verify"
)

func verifyVerb(ctx context.Context, a *app, args []string) error {
	only, err := a.flags("verify", "[CHAPTER|EXERCISE …]", nil, args)
	if err != nil {
		return err
	}
	failed, err := verify.Run(ctx, a.course, a.stdout, verify.Options{Only: only, RequireRace: os.Getenv("CI") != ""})
	if err != nil {
		return err
	}
	if failed > 0 {
		return errRed
	}
	return nil
}

func generate(ctx context.Context, a *app, args []string) error {
	names, err := a.flags("generate", "[EXERCISE …]", nil, args)
	if err != nil {
		return err
	}
	chosen := a.course.Exercises()
	if len(names) > 0 {
		chosen = nil
	}
	for _, name := range names {
		e, err := a.course.Exercise(name)
		if err != nil {
			return misuse("%v", err)
		}
		chosen = append(chosen, e)
	}
	for _, e := range chosen {
		starter, err := e.Starter()
		if err != nil {
			return err
		}
		kept, err := a.course.Replace(e, starter, committed(ctx, a.course, e))
		if err != nil {
			return err
		}
		if kept != "" {
			fmt.Fprintf(a.stdout, "%s: was edited; a copy is in %s\n", e.Name, kept)
		}
	}
	fmt.Fprintf(a.stdout, "%d exercises derived\n", len(chosen))
	return nil
}

// committed is the exercise as git's index has it: a former starter, of which
// no copy need be kept. Without git it is empty.
func committed(ctx context.Context, c *course.Course, e *course.Exercise) map[string][]byte {
	files, err := course.Files(e.Dir())
	if err != nil {
		return nil
	}
	was := map[string][]byte{}
	for name := range files {
		cmd := exec.CommandContext(ctx, "git", "show", ":./"+name)
		cmd.Dir = e.Dir()
		if text, err := cmd.Output(); err == nil {
			was[name] = text
		}
	}
	return was
}

var (
	exerciseName = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	firstHeading = regexp.MustCompile(`(?m)^# .+$`)
)

func newExercise(ctx context.Context, a *app, args []string) error {
	args, err := a.flags("new", "CHAPTER/EXERCISE", nil, args)
	if err != nil {
		return err
	}
	if len(args) != 1 || strings.Count(args[0], "/") != 1 {
		return misuse("new takes a chapter and a name: go run ./workshop new %s/NAME", a.course.Chapters[0].Name)
	}
	chapter, name, _ := strings.Cut(args[0], "/")
	ch, err := a.course.Chapter(chapter)
	if err != nil {
		return misuse("%v", err)
	}
	if !exerciseName.MatchString(name) {
		return misuse("%q is no package name: lower-case letters and digits, a letter first", name)
	}
	if e, err := a.course.Exercise(name); err == nil {
		return misuse("%s has an exercise %s already: a name is an identity, choose another", e.Chapter.Name, name)
	}
	files := map[string][]byte{}
	for file, text := range template {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "NAME", name), "MODULE", ch.Module)
		files[strings.ReplaceAll(file, "NAME", name)] = []byte(text)
	}
	for file := range files {
		if _, err := os.Stat(filepath.Join(ch.Dir, filepath.FromSlash(file))); err == nil {
			return fmt.Errorf("%s/%s is there already: move it out of the way first", ch.Name, file)
		}
	}
	number := fmt.Sprintf("%d.%d", slices.Index(a.course.Chapters, ch)+1, len(ch.Exercises)+1)
	section := strings.ReplaceAll(strings.ReplaceAll(sectionTemplate, "NUMBER", number), "NAME", name)
	readme := strings.TrimRight(ch.README, "\n")
	if !firstHeading.MatchString(readme) {
		readme = "# " + ch.Name
	}
	files["README.md"] = []byte(readme + "\n\n" + section)
	if err := course.Write(ch.Dir, files); err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(a.stdout, "%s/%s\n", ch.Name, file)
	}
	fmt.Fprintf(a.stdout, "\nFill them in, then: go run ./workshop generate %s && go run ./workshop verify %s\nCONTRIBUTING.md says what a good exercise has.\n", name, name)
	return nil
}

var template = map[string]string{
	"solution/NAME/NAME.go": `// Package NAME does …: what for, and where in the request's path.
//
// Source: RFC ….
package NAME

// Answer returns …. Say what zero and nil mean, which errors there are, and
// who may call it at once.
func Answer(question string) string {
	//workshop:begin return ""
	//workshop:todo Say what to do, in a line or a few.
	return "the answer to " + question
	//workshop:end
}
`,
	"solution/NAME/NAME_test.go": `package NAME_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"MODULE/solution/NAME"
)

func TestAnswer(t *testing.T) {
	t.Run("answers_the_question", func(t *testing.T) {
		assert.Equal(t, "the answer to why", NAME.Answer("why"), "Answer(\"why\"): say the rule behind it, and its source")
	})
}
`,
	"mistakes/NAME/first.go": `//go:build ignore

// It …: say what goes wrong, and why, for a learner to read.
//
//workshop:caught-by TestAnswer/answers_the_question
//workshop:says say the rule behind it
package NAME

func Answer(question string) string { return question }
`,
	"mistakes/NAME/second.go": `//go:build ignore

// It …: another tempting mistake.
//
//workshop:caught-by TestAnswer/answers_the_question
//workshop:says say the rule behind it
package NAME

func Answer(string) string { return "42" }
`,
}

const sectionTemplate = `## NUMBER A plain title: the term

[exercise/NAME/NAME.go](exercise/NAME/NAME.go)

The story and the idea.

### Task

What to write.

### Try it

One thing to do on the running stack.

<details><summary>Hint 1</summary>

Where to look.

</details>

<details><summary>Hint 2</summary>

Nearly the code.

</details>
`
