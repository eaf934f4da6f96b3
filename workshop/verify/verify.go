// Package verify proves that the workshop is what its authors say: that each
// exercise is derived from its solution, starts red for the right reason and
// can be solved, that the tests catch each known mistake by name, and that the
// rules of the house are kept.
//
// It looks at the working tree, except for exercise/, which is the learner's:
// that it derives anew in a scratch copy, where the solutions, the starters and
// each mistake are packages of their own, and it compares what it derived with
// git's index. So a learner's edits never make it fail.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/proc"
)

// Options narrow a run.
type Options struct {
	// Only these chapters and exercises, by name; everything when empty. With
	// an exercise named, the checks of whole modules are left out.
	Only []string
	// RequireRace makes a missing race detector a failure, as in CI.
	RequireRace bool
}

// Run checks c and writes what it finds to w, a line a check and below it
// what to do; the last line is "N passed, N failed". The error says that the
// checks could not be carried out.
func Run(ctx context.Context, c *course.Course, w io.Writer, o Options) (failed int, err error) {
	v := &verifier{course: c, out: w, options: o, began: time.Now()}
	if err := v.choose(); err != nil {
		return 0, err
	}
	state, err := c.StateDir()
	if err != nil {
		return 0, err
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(state, "verify.lock")).Lock()
	if err != nil {
		return 0, fmt.Errorf("verify: %w", err)
	}
	defer unlock()
	v.scratch = filepath.Join(state, "verify")

	v.lessons()
	v.index(ctx)
	if len(o.Only) == 0 {
		v.links()
	}
	if err := v.lay(); err != nil {
		return 0, err
	}
	for _, ch := range v.chapters {
		if ctx.Err() != nil {
			break
		}
		v.judge(ctx, ch)
		if v.whole(ch) {
			v.module(ctx, ch.Name, v.scratchOf(ch))
			v.imports(ctx, ch)
		}
	}
	if len(o.Only) == 0 && ctx.Err() == nil {
		v.tool(ctx)
		v.sums(ctx)
	}
	if ctx.Err() != nil {
		return v.failed, context.Cause(ctx)
	}
	fmt.Fprintf(w, "\n%d exercises in %s\n%d passed, %d failed\n", len(v.exercises), time.Since(v.began).Round(100*time.Millisecond), v.passed, v.failed)
	return v.failed, nil
}

type verifier struct {
	course    *course.Course
	out       io.Writer
	options   Options
	began     time.Time
	chapters  []*course.Chapter
	exercises []*course.Exercise
	scratch   string // absolute

	passed, failed int
}

// choose finds what o.Only names.
func (v *verifier) choose() error {
	if len(v.options.Only) == 0 {
		v.chapters = v.course.Chapters
		v.exercises = v.course.Exercises()
		return nil
	}
	for _, name := range v.options.Only {
		ch, notChapter := v.course.Chapter(name)
		if notChapter == nil {
			v.exercises = append(v.exercises, ch.Exercises...)
		} else {
			e, err := v.course.Exercise(name)
			if err != nil {
				return err
			}
			ch = e.Chapter
			v.exercises = append(v.exercises, e)
		}
		if !slices.Contains(v.chapters, ch) {
			v.chapters = append(v.chapters, ch)
		}
	}
	return nil
}

// whole reports whether all of ch is to be checked.
func (v *verifier) whole(ch *course.Chapter) bool {
	return !slices.ContainsFunc(ch.Exercises, func(e *course.Exercise) bool { return !v.chosen(e) })
}

func (v *verifier) chosen(e *course.Exercise) bool { return slices.Contains(v.exercises, e) }

// report is the one place that counts.
func (v *verifier) report(what string, problems ...string) {
	if len(problems) == 0 {
		v.passed++
		fmt.Fprintf(v.out, "ok    %s\n", what)
		return
	}
	v.failed++
	fmt.Fprintf(v.out, "FAIL  %s\n", what)
	for _, p := range problems {
		fmt.Fprintf(v.out, "      %s\n", strings.ReplaceAll(strings.TrimSpace(p), "\n", "\n      "))
	}
}

// note says something that is neither passed nor failed.
func (v *verifier) note(format string, args ...any) {
	fmt.Fprintf(v.out, "--    "+format+"\n", args...)
}

// command runs a program in dir and returns what it printed. problem is empty
// when it succeeded.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (output, problem string) {
	var b strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := proc.Run(ctx, cmd); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return b.String(), fmt.Sprintf("%s %s: %v", name, strings.Join(args, " "), err)
		}
		return b.String(), fmt.Sprintf("%s %s says:\n%s", name, strings.Join(args, " "), b.String())
	}
	return b.String(), ""
}

// problem is err's text, or nothing.
func problem(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}
