// Package guide leads a learner through the exercises: it shows the next
// unsolved one, tests it on every save, and says in plain words what is wrong
// first. It has two faces, a screen and plain lines, over one session.
package guide

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"clicktocode.example/workshop/check"
	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/gotest"
	"clicktocode.example/workshop/show"
)

// Config says how the guide shows itself.
type Config struct {
	// Start is the exercise to open on; nil means the next unsolved.
	Start *course.Exercise
	// Screen paints on a terminal; otherwise lines are printed, and nothing is
	// painted over.
	Screen bool
	Page   show.Page
	In     io.Reader // keys, or, without a screen, lines with the same letters
	Out    io.Writer
}

// Run guides until the learner quits or ctx ends.
func Run(ctx context.Context, c *course.Course, config Config) error {
	if len(c.Exercises()) == 0 {
		return errors.New("there is no exercise here: each is a section of a chapter's README that links exercise/NAME/NAME.go")
	}
	ctx, stop := context.WithCancel(ctx)
	s := &session{
		course: c, states: make([]check.State, 0, len(c.Exercises())),
		done: make(chan outcome),
	}
	defer s.wait() // after stop: what runs is cancelled
	defer stop()
	s.ctx = ctx
	slow := time.AfterFunc(time.Second, func() { // half a minute, where Go's cache does not know the results yet
		fmt.Fprintln(config.Out, "Testing what you have written so far …")
	})
	states, err := check.All(ctx, c, c.Chapters...)
	slow.Stop()
	if err != nil {
		return err
	}
	s.states = states
	s.open(s.next(-1))
	if config.Start != nil {
		s.open(s.index(config.Start))
	}
	saved := watch(ctx, c)
	s.test()
	if config.Screen {
		return s.screen(config, saved)
	}
	return s.lines(config, saved)
}

// session is where the learner stands. One goroutine, the face's, uses it.
type session struct {
	ctx    context.Context
	course *course.Course
	states []check.State
	at     int // the exercise that is open

	tested bool  // the open exercise's verdict is that of its files as they were tested last
	fault  error // why it could not be tested
	hints  int   // how many are shown
	// praise is the exercise that was just solved, while the next one is open.
	praise *course.Exercise

	// cancel ends the run that is under way; it is nil when none is.
	cancel  context.CancelFunc
	run     int          // its number: an outcome of an older one is void
	done    chan outcome // one for each run
	pending int          // runs whose outcome was not received yet
}

// outcome is what came of testing an exercise.
type outcome struct {
	run     int
	at      int
	verdict gotest.Verdict
	err     error
	took    time.Duration
}

func (s *session) exercise() *course.Exercise { return s.states[s.at].Exercise }
func (s *session) verdict() gotest.Verdict    { return s.states[s.at].Verdict }

func (s *session) index(e *course.Exercise) int {
	return slices.IndexFunc(s.states, func(st check.State) bool { return st.Exercise == e })
}

// next is the first unsolved exercise behind from, or else before it; -1 when
// all are solved.
func (s *session) next(from int) int {
	for i := range s.states {
		if at := (from + 1 + i) % len(s.states); !s.states[at].Solved() {
			return at
		}
	}
	return -1
}

func (s *session) solved() int {
	n := 0
	for _, st := range s.states {
		if st.Solved() {
			n++
		}
	}
	return n
}

// open turns to an exercise; -1 stays at the last one.
func (s *session) open(at int) {
	if at < 0 {
		at = len(s.states) - 1
	}
	s.at, s.hints, s.tested, s.fault = at, 0, false, nil
}

// test tests the open exercise; a run that is under way is cancelled.
func (s *session) test() {
	s.stopRun()
	ctx, cancel := context.WithCancel(s.ctx)
	s.cancel = cancel
	s.run++
	s.pending++
	run, at, e := s.run, s.at, s.exercise()
	go func() {
		began := time.Now()
		v, err := check.Exercise(ctx, s.course, e)
		s.done <- outcome{run, at, v, err, time.Since(began)}
	}()
}

func (s *session) stopRun() {
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
}

// take receives a run's outcome. It reports whether it is news.
func (s *session) take(o outcome) bool {
	s.pending--
	if o.run != s.run || s.ctx.Err() != nil {
		return false
	}
	s.stopRun()
	s.tested, s.fault = true, o.err
	if o.err != nil {
		return true
	}
	was := s.states[o.at].Solved()
	s.states[o.at].Touched = true
	s.states[o.at].Verdict = o.verdict
	if o.verdict.Kind == gotest.Solved && !was {
		s.praise = s.states[o.at].Exercise
		if next := s.next(o.at); next >= 0 {
			s.open(next)
			s.test()
		}
	}
	return true
}

// save turns to the exercise that was saved, and tests it.
func (s *session) save(e *course.Exercise) {
	if at := s.index(e); at != s.at {
		s.open(at)
	}
	s.praise = nil
	s.test()
}

// hint shows one more. It reports whether there is one.
func (s *session) hint() bool {
	if s.hints == len(s.exercise().Hints) {
		return false
	}
	s.hints++
	return true
}

// wait receives the outcomes of all runs.
func (s *session) wait() {
	for ; s.pending > 0; s.pending-- {
		<-s.done
	}
}
