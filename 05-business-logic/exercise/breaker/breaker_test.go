package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/exercise/breaker"
)

// The numbers of the tests that set none of their own.
const (
	failures = 3
	slow     = 2 * time.Second
	open     = 30 * time.Second
)

var (
	errDown     = errors.New("supplier: connection refused")
	errDeclined = errors.New("supplier: we do not deliver to you")
)

func TestDo(t *testing.T) {
	t.Run("makes_calls_while_it_is_closed", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		got := s.call(nil)
		require.True(t, got.called, "the breaker is new, so it is Closed: the call is made. enter returns ok")
		assert.NoError(t, got.err, "the call returned no error, so Do returns none")
	})

	t.Run("returns_the_error_as_it_is", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		assert.Equal(t, errDown, s.call(errDown).err, "the call returned this error, and the breaker is Closed: so does Do")
	})

	t.Run("opens_after_failures_in_a_row", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		s.fail(failures, "the breaker is Closed, and Failures is 3")
		got := s.call(nil)
		require.ErrorIs(t, got.err, breaker.ErrOpen, "Failures is 3, and three calls in a row returned an error: what the fourth gets")
		assert.False(t, got.called, "Failures is 3, and three calls in a row returned an error: the breaker is Open, and the fourth call must not be made")
	})

	t.Run("starts_over_after_a_success", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range 4 {
			s.fail(failures-1, "Failures is 3, and never did three calls in a row fail: a success clears what was counted, or the failures of a whole week would add up")
			s.succeed("Failures is 3, and two in a row failed")
		}
		s.fail(failures, "two failures before a success do not count, and three are needed")
		s.isOpen("three in a row failed, after the last success")
	})

	t.Run("opens_for_failures_of_the_callee_alone", func(t *testing.T) {
		s := newScene(t, breaker.Config{Failed: func(err error) bool { return !errors.Is(err, errDeclined) }})
		for range 5 * failures {
			require.True(t, s.call(errDeclined).called, "fifteen calls returned %q, and Config.Failed says that this is none of the callee's failures: the breaker stays Closed. Who declines is well", errDeclined)
		}
		s.fail(failures-1, "Failures is 3")
		require.True(t, s.call(errDeclined).called, "two calls failed, and Failures is 3")
		s.fail(failures-1, "two calls failed, one returned an error that is no failure, and so a success: it clears what was counted")
		s.fail(1, "two calls in a row failed, and Failures is 3")
		s.isOpen("three in a row failed")
	})

	t.Run("takes_a_slow_call_for_a_failure", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range failures {
			got := s.callFor(slow+1, nil)
			require.True(t, got.called, "Failures is 3, and fewer than three calls were slow")
			require.NoError(t, got.err, "a call took 2 s and 1 ns, and returned no error: so does Do. The answer is there, and it is right")
		}
		s.isOpen("Slow is 2 s, and three calls in a row took longer (by Config.Now), though they returned no error: whoever is so slow is about to fall, and holds up all who wait")
	})

	t.Run("takes_no_call_in_time_for_slow", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range 2 * failures {
			require.True(t, s.callFor(slow, nil).called, "Slow is 2 s, and calls took just that, and no longer: they are successes")
		}
		s.fail(failures, "the calls before were successes")
		s.isOpen("three in a row failed")
	})

	t.Run("takes_no_caller_who_left_for_a_failure", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range 5 * failures {
			require.True(t, s.leave(time.Second).called, "fifteen callers cancelled their context while they waited, in time: whether the callee would have answered, nobody knows. Impatient customers must not close the shop for all")
		}
		s.fail(failures, "nothing was counted before")
		s.isOpen("three in a row failed")
	})

	t.Run("takes_no_caller_who_left_for_a_success", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		s.fail(failures-1, "Failures is 3")
		require.True(t, s.leave(time.Second).called, "two calls failed, and Failures is 3")
		s.fail(1, "two calls failed, then a caller left, and Failures is 3")
		s.isOpen("two calls failed, a caller left, and one failed. The one who left says nothing, so it clears nothing: three failed in a row")
	})

	t.Run("asks_for_the_caller_before_it_asks_what_the_error_is", func(t *testing.T) {
		for _, err := range []error{errDeclined, errDown, context.Canceled} {
			s := newScene(t, breaker.Config{Failed: func(err error) bool { return errors.Is(err, errDown) }})
			s.fail(failures-1, "Failures is 3")
			ctx, cancel := context.WithCancel(t.Context())
			got := s.do(ctx, func(context.Context) error { cancel(); return err })
			require.True(t, got.called, "two calls failed, and Failures is 3")
			s.fail(1, "two calls failed, then the caller of a third cancelled its context, and the call returned an error: that is neither, whatever the error is, and Failures is 3")
			require.False(t, s.call(nil).called, "a call was made, and the breaker should be Open: two calls failed, then the caller of one cancelled its context, and that call returned the error %q, and then one failed. Whoever has left (ctx.Err()) says nothing, so he clears nothing: three failed in a row. What the error is, and whether Config.Failed counts it, is asked when the caller is still there", err)
		}
	})

	t.Run("takes_the_error_of_a_dependency_that_was_cancelled_for_a_failure", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range failures {
			require.True(t, s.call(fmt.Errorf("supplier: %w", context.Canceled)).called, "Failures is 3, and fewer than three failed")
		}
		s.isOpen("three calls returned context.Canceled, and their callers have not left: something behind the callee was given up, and that is its failure. Whether the caller has left, ctx.Err() says")
	})

	t.Run("takes_an_answer_for_one_although_the_caller_left", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		s.fail(failures-1, "Failures is 3")
		ctx, cancel := context.WithCancel(t.Context())
		got := s.do(ctx, func(context.Context) error { cancel(); return nil })
		require.True(t, got.called, "two calls failed, and Failures is 3")
		s.fail(failures-1, "two calls failed, and then one returned no error although its caller had left: an answer is an answer, and clears what was counted")
		s.fail(1, "two calls in a row failed")
		s.isOpen("three in a row failed")
	})

	t.Run("takes_a_deadline_that_is_over_for_a_failure", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		for range failures {
			require.True(t, s.do(ctx, func(ctx context.Context) error { return ctx.Err() }).called, "Failures is 3, and fewer than three failed")
		}
		s.isOpen("the deadline of three calls was over (context.DeadlineExceeded): nobody left, the callee was too slow")
	})

	t.Run("takes_a_slow_call_for_a_failure_although_the_caller_left", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range failures {
			require.True(t, s.leave(slow+1).called, "Failures is 3, and fewer than three were slow")
		}
		s.isOpen("Slow is 2 s, and three callers left after more than that: they had waited too long, and that is the callee's failure. Ask for the time first")
	})

	t.Run("takes_a_panic_for_a_failure", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range failures {
			got := s.do(t.Context(), func(context.Context) error { panic("the boy fell") })
			require.True(t, got.called, "Failures is 3, and fewer than three failed")
			require.Equal(t, "the boy fell", got.panicked, "the call panicked: Do lets that pass")
		}
		s.isOpen("three calls in a row panicked")
	})

	t.Run("takes_the_end_of_a_goroutine_for_a_failure", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		for range failures {
			got := s.do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
			require.True(t, got.called, "Failures is 3, and fewer than three failed")
			require.True(t, got.exited, "the call ended its goroutine (runtime.Goexit): so does Do, since it runs in that one")
		}
		s.isOpen("three calls in a row ended their goroutine (runtime.Goexit)")
	})

	t.Run("makes_no_call_before_its_time_is_over", func(t *testing.T) {
		s := opened(t)
		s.pass(open - 1)
		require.False(t, s.call(nil).called, "Open is 30 s, and the breaker opened 30 s less 1 ns ago (by Config.Now): no call is made")
		s.pass(1)
		require.True(t, s.call(nil).called, "Open is 30 s, and the breaker opened 30 s ago (by Config.Now): one call is made, the probe. Without it, nobody finds out that the callee is back")
	})

	t.Run("closes_when_the_probe_succeeds", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		s.succeed("the breaker was Open for 30 s: this is the probe")
		for range 3 {
			s.succeed("the probe has succeeded: the breaker is Closed, and all calls are made")
		}
		require.Equal(t, breaker.Closed, s.State(), "the state, after a probe that has succeeded")
	})

	t.Run("needs_as_many_failures_as_before_once_it_is_closed", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		s.succeed("the breaker was Open for 30 s: this is the probe")
		s.fail(failures, "the probe has succeeded, and Failures is 3: what was counted before does not count any more")
		s.isOpen("three in a row failed")
	})

	t.Run("opens_again_when_the_probe_fails", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		s.fail(1, "the breaker was Open for 30 s: this is the probe")
		s.isOpen("the probe has failed. One failure is enough now: the callee is still down, and Failures counts while the breaker is Closed")
		s.pass(open - 1)
		require.False(t, s.call(nil).called, "Open is 30 s, and a probe failed 30 s less 1 ns ago: no call is made. Each probe that fails begins a new time")
		s.pass(1)
		s.succeed("a probe failed 30 s ago: this is the next one")
	})

	t.Run("opens_again_when_the_probe_is_slow", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		require.True(t, s.callFor(slow+1, nil).called, "the breaker was Open for 30 s: this is the probe")
		s.isOpen("the probe took longer than Slow, so it has failed, though it returned no error")
	})

	t.Run("opens_again_when_the_probe_panics", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		require.True(t, s.do(t.Context(), func(context.Context) error { panic("the boy fell") }).called, "the breaker was Open for 30 s: this is the probe")
		s.isOpen("the probe has panicked, so it has failed")
		s.pass(open)
		s.succeed("the probe panicked 30 s ago: this is the next one")
	})

	t.Run("makes_calls_side_by_side", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		first := s.start("a call while the breaker is Closed")
		second := s.start("a second call, while the first one is under way and the breaker is Closed: both run side by side. The lock is for what the breaker knows: enter gives it back, and so does leave")
		second.end(nil)
		first.end(nil)
	})

	t.Run("answers_at_once_while_it_is_open", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		hangs := s.start("a call while the breaker is Closed")
		s.fail(failures, "one call is under way, and these three fail beside it")
		s.isOpen("three in a row failed, while another call is under way. It waits for nobody")
		hangs.end(nil)
	})

	t.Run("sends_one_probe", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		probe := s.start("the breaker was Open for 30 s: this is the probe")
		for range 5 {
			got := s.call(nil)
			require.False(t, got.called, "the probe is under way, and another call comes: it must not be made. All who have waited would come at once, and knock over who has just got up")
			require.ErrorIs(t, got.err, breaker.ErrOpen, "the probe is under way, and another call comes: its error")
		}
		probe.end(nil)
		s.succeed("the probe has succeeded: the breaker is Closed")
	})

	t.Run("sends_one_probe_of_a_hundred_who_come_at_once", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		gate := make(chan struct{})
		release := sync.OnceFunc(func() { close(gate) })
		defer release()
		all := make(chan outcome, 100)
		for range 100 {
			go func() {
				got := outcome{}
				got.err = s.Do(t.Context(), func(context.Context) error { got.called = true; <-gate; return nil })
				all <- got
			}()
		}
		for range 99 {
			got := receive(t, all, "a hundred come when the breaker was Open for 30 s: one is the probe, and 99 have to be answered at once")
			require.ErrorIs(t, got.err, breaker.ErrOpen, "a hundred come when the breaker was Open for 30 s: one is the probe, and this is the error of another one")
		}
		release()
		got := receive(t, all, "the probe has returned")
		assert.True(t, got.called, "the last of a hundred, who waited for its call, is the probe")
	})

	t.Run("sends_another_probe_when_the_first_ones_caller_left", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		require.True(t, s.leave(time.Second).called, "the breaker was Open for 30 s: this is the probe")
		got := s.call(nil)
		require.True(t, got.called, "the caller of the probe left, so nothing was found out: the next call is the probe, at once. If its place is not given back, no call is made any more, for ever")
		s.succeed("the second probe has succeeded: the breaker is Closed")
	})

	t.Run("does_not_close_for_a_call_from_before", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		old := s.start("a call while the breaker is Closed")
		s.fail(failures, "these three fail while the first call is under way")
		old.end(nil)
		s.isOpen("three calls failed, the breaker opened, and then a call succeeded that was made before: it was on its way when the callee was still well. It is of an earlier term")
		s.pass(open)
		s.succeed("the breaker was Open for 30 s: this is the probe")
	})

	t.Run("does_not_take_a_call_from_before_for_the_probe", func(t *testing.T) {
		s := newScene(t, breaker.Config{})
		old := s.start("a call while the breaker is Closed")
		s.fail(failures, "these three fail while the first call is under way")
		s.pass(open)
		probe := s.start("the breaker was Open for 30 s: this is the probe")
		old.end(errDown)
		require.Equal(t, breaker.HalfOpen, s.State(), "the state: the probe is under way, and a call has failed that was made before the breaker opened. It is of an earlier term, and says nothing; the probe will")
		require.False(t, s.call(nil).called, "the probe is under way, and a call has ended that was made before: the next call must not be made, it would be a second probe")
		probe.end(nil)
		s.succeed("the probe has succeeded: the breaker is Closed")
	})

	t.Run("counts_no_call_from_before_once_it_is_closed_again", func(t *testing.T) {
		s := newScene(t, breaker.Config{Failures: 1})
		old := s.start("a call while the breaker is Closed")
		s.fail(1, "this one fails while the first call is under way")
		s.pass(open)
		s.succeed("the breaker was Open for 30 s: this is the probe")
		old.end(errDown)
		s.succeed("Failures is 1, the probe has succeeded, and then a call failed that was made before the breaker opened: it is of an earlier term, and what it found out is known")
	})

	t.Run("tells_of_each_change", func(t *testing.T) {
		s := opened(t)
		s.pass(open)
		s.fail(1, "the breaker was Open for 30 s: this is the probe")
		s.pass(open)
		s.succeed("a probe failed 30 s ago: this is the next one")
		assert.Equal(t, []string{"closed to open", "open to half-open", "half-open to open", "open to half-open", "half-open to closed"}, s.changes, "what OnChange was told: three calls failed, a probe failed, a probe succeeded. setLocked tells it")
	})

	t.Run("changes_its_state_under_the_lock", func(t *testing.T) {
		var s *scene
		var free []string // changes during which somebody else could have the lock
		b, err := breaker.New(breaker.Config{
			Failures: failures, Slow: slow, Open: open,
			Now: func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now },
			OnChange: func(from, to breaker.State) {
				looked := make(chan struct{})
				go func() { s.Breaker.State(); close(looked) }() // it takes the lock
				select {
				case <-looked:
					free = append(free, fmt.Sprint(from, " to ", to))
				case <-time.After(20 * time.Millisecond): // then it is held
				}
			},
		})
		require.NoError(t, err)
		s = &scene{Breaker: b, t: t, now: time.Date(2026, 5, 1, 18, 0, 0, 0, time.UTC)}
		s.fail(failures, "the breaker is Closed, and Failures is 3")
		s.pass(open)
		s.succeed("the breaker was Open for 30 s: this is the probe")
		require.Equal(t, breaker.Closed, s.State(), "the state, after a probe that has succeeded")
		assert.Empty(t, free, "changes during which another goroutine had the lock. enter and leave read and write what the mutex guards, so each of them takes it first, and setLocked is for who holds it: without it, two calls that come at once are both the probe, and two failures at once are counted as one")
	})
}

// What is given.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("begins_closed", func(t *testing.T) {
		b, err := breaker.New(breaker.Config{})
		require.NoError(t, err)
		assert.Equal(t, breaker.Closed, b.State())
	})

	t.Run("tells_all_faults_at_once", func(t *testing.T) {
		_, err := breaker.New(breaker.Config{Failures: -1, Slow: -2, Open: -3})
		require.Error(t, err)
		for _, part := range []string{"Failures is -1", "Slow is -2ns", "Open is -3ns"} {
			assert.Contains(t, err.Error(), part)
		}
	})
}

// scene is a breaker with a clock of its own.
type scene struct {
	*breaker.Breaker
	t       *testing.T
	changes []string

	mu  sync.Mutex // guards now
	now time.Time
}

func newScene(t *testing.T, c breaker.Config) *scene {
	s := &scene{t: t, now: time.Date(2026, 5, 1, 18, 0, 0, 0, time.UTC)}
	if c.Failures == 0 {
		c.Failures = failures
	}
	c.Slow, c.Open = slow, open
	c.OnChange = func(from, to breaker.State) { s.changes = append(s.changes, fmt.Sprint(from, " to ", to)) }
	c.Now = func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}
	var err error
	s.Breaker, err = breaker.New(c)
	require.NoError(t, err)
	return s
}

// opened is a scene whose breaker has just opened.
func opened(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, breaker.Config{})
	s.fail(failures, "the breaker is Closed, and Failures is 3")
	s.isOpen("three calls in a row failed, and Failures is 3")
	return s
}

func (s *scene) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// State is the breaker's, which takes the lock to tell.
func (s *scene) State() breaker.State {
	s.t.Helper()
	told := make(chan breaker.State, 1)
	go func() { told <- s.Breaker.State() }()
	return receive(s.t, told, "State waits for the lock, and no call is about to begin or to end: is there a way out of enter or leave that does not give it back?")
}

// outcome is what a call of Do came to.
type outcome struct {
	called   bool
	err      error
	panicked any
	exited   bool // by runtime.Goexit
}

// do calls Do, which must not be long in returning.
func (s *scene) do(ctx context.Context, call func(context.Context) error) outcome {
	s.t.Helper()
	done := make(chan outcome, 1)
	go func() {
		got := outcome{exited: true}
		defer func() {
			if got.panicked = recover(); got.panicked != nil {
				got.exited = false
			}
			done <- got
		}()
		got.err = s.Do(ctx, func(ctx context.Context) error { got.called = true; return call(ctx) })
		got.exited = false
	}()
	return receive(s.t, done, "Do waits for the lock: is there a way out of enter or leave that does not give it back, or a Lock where it is locked already?")
}

// call is a call that returns err.
func (s *scene) call(err error) outcome {
	s.t.Helper()
	return s.do(s.t.Context(), func(context.Context) error { return err })
}

// callFor is one that takes so long.
func (s *scene) callFor(d time.Duration, err error) outcome {
	s.t.Helper()
	return s.do(s.t.Context(), func(context.Context) error { s.pass(d); return err })
}

// leave is one whose caller leaves after so long.
func (s *scene) leave(after time.Duration) outcome {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	return s.do(ctx, func(ctx context.Context) error {
		s.pass(after)
		cancel()
		return fmt.Errorf("supplier: no answer: %w", ctx.Err())
	})
}

// fail makes n calls that fail, and requires that they are made.
func (s *scene) fail(n int, why string) {
	s.t.Helper()
	for i := range n {
		require.True(s.t, s.call(errDown).called, "call %d of %d was not made: %s", i+1, n, why)
	}
}

// succeed makes a call that succeeds, and requires that it is made.
func (s *scene) succeed(why string) {
	s.t.Helper()
	require.True(s.t, s.call(nil).called, "a call was not made: %s", why)
}

// isOpen requires that no call is made.
func (s *scene) isOpen(why string) {
	s.t.Helper()
	require.False(s.t, s.call(nil).called, "a call was made, and the breaker should be Open: %s", why)
}

// running is a call that is under way.
type running struct {
	end func(err error) // lets it return, and waits until Do has
}

// start begins a call, and requires that it is made.
func (s *scene) start(why string) running {
	s.t.Helper()
	entered, result, done := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	s.t.Cleanup(func() {
		select {
		case result <- errDown:
		default:
		}
	})
	go func() {
		done <- s.Do(s.t.Context(), func(context.Context) error {
			close(entered)
			return <-result
		})
	}()
	select {
	case <-entered:
	case err := <-done:
		require.FailNow(s.t, "the call was not made", "Do returned %v: %s", err, why)
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(s.t, "the call was not made", "Do waits: %s", why)
	}
	return running{end: func(err error) {
		s.t.Helper()
		result <- err
		receive(s.t, done, "the call has returned, and Do has not")
	}}
}

// patience is how long a test waits. The first time, there is plenty; if that was not
// enough, nobody waits as long again.
var patience = 2 * time.Second

// receive takes what comes out of c, which must not be long in coming.
func receive[T any](t *testing.T, c <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "no end", why)
	}
	return v
}

func BenchmarkDo(b *testing.B) {
	brk, err := breaker.New(breaker.Config{})
	require.NoError(b, err)
	call := func(context.Context) error { return nil }
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := brk.Do(b.Context(), call); err != nil {
				b.Error(err)
			}
		}
	})
}
