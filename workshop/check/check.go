// Package check finds out which exercises are solved, by testing them. Nothing
// is stored: Go's own test cache remembers what passed.
package check

import (
	"context"
	"fmt"
	"time"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/gotest"
)

// Patience is how long an exercise's tests may run.
const Patience = 20 * time.Second

// Exercise tests the learner's package. The error says that it could not be
// tested, or that ctx ended.
func Exercise(ctx context.Context, c *course.Course, e *course.Exercise) (gotest.Verdict, error) {
	report, err := gotest.Run(ctx, e.Chapter.Dir, nil, "-timeout="+Patience.String(), "./exercise/"+e.Name)
	if err != nil {
		return gotest.Verdict{}, fmt.Errorf("%s: %w", e.Name, err)
	}
	return verdict(c, e, report)
}

func verdict(c *course.Course, e *course.Exercise, report *gotest.Report) (gotest.Verdict, error) {
	mistakes, err := e.Mistakes()
	if err != nil {
		return gotest.Verdict{}, err
	}
	// What nobody touched has made no mistake yet.
	if touched, err := e.Touched(); err != nil {
		return gotest.Verdict{}, err
	} else if !touched {
		mistakes = nil
	}
	return report.Verdict(gotest.Subject{Root: c.Root, Dir: e.Dir(), Package: e.Package(), Mistakes: mistakes}), nil
}

// State is how one exercise stands.
type State struct {
	Exercise *course.Exercise
	Touched  bool
	// Verdict is zero for an exercise that was not touched: it is unsolved, as
	// verify proves of every starter, and was not tested.
	Verdict gotest.Verdict
}

// Solved reports whether all tests pass.
func (s State) Solved() bool { return s.Verdict.Kind == gotest.Solved }

// All finds out how the exercises of the chapters stand; those of a chapter
// that were touched are tested in one run.
func All(ctx context.Context, c *course.Course, chapters ...*course.Chapter) ([]State, error) {
	var states []State
	for _, ch := range chapters {
		var packages []string
		first := len(states)
		for _, e := range ch.Exercises {
			touched, err := e.Touched()
			if err != nil {
				return nil, err
			}
			if touched {
				packages = append(packages, "./exercise/"+e.Name)
			}
			states = append(states, State{Exercise: e, Touched: touched})
		}
		if len(packages) == 0 {
			continue
		}
		report, err := gotest.Run(ctx, ch.Dir, nil, append([]string{"-timeout=" + Patience.String()}, packages...)...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ch.Name, err)
		}
		for i := first; i < len(states); i++ {
			if s := &states[i]; s.Touched {
				if s.Verdict, err = verdict(c, s.Exercise, report); err != nil {
					return nil, err
				}
			}
		}
	}
	return states, nil
}
