package healthcheck_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/exercise/healthcheck"
)

// In these tests, + is a check that succeeded and - is one that failed. Of the
// opinion that the tracker has then, U is up, D is down, and small letters say
// that this very result changed it.

func TestObserve(t *testing.T) {
	t.Run("stays_up_while_checks_succeed", func(t *testing.T) {
		observe(t, healthcheck.New(2, 3, true),
			"++++",
			"UUUU", "it was up, and checks succeed: it is up, and nothing has changed. changed is true for the one result that changes the opinion, not with every check that confirms it")
	})

	t.Run("goes_down_after_fall_failures_in_a_row", func(t *testing.T) {
		observe(t, healthcheck.New(2, 3, true),
			"+----",
			"UUUdD", "fall is 3: the third failure in a row takes it down, and says so. Two change nothing, since one lost packet must not take a backend out; and the fourth comes too late")
	})

	t.Run("comes_up_after_rise_successes_in_a_row", func(t *testing.T) {
		observe(t, healthcheck.New(4, 3, false),
			"-+++++",
			"DDDDuU", "rise is 4: the fourth success in a row brings it up, and says so. Three change nothing, since a backend that is starting answers now and then; and the fifth comes too late")
	})

	t.Run("tells_of_a_change_once", func(t *testing.T) {
		observe(t, healthcheck.New(2, 2, true),
			"-----++++",
			"UdDDDDuUU", "going down is news once, and so is coming up: whoever is told again with every check writes a log that nobody reads")
	})

	t.Run("starts_over_after_a_success", func(t *testing.T) {
		observe(t, healthcheck.New(2, 3, true),
			"--+--+-+-",
			"UUUUUUUUU", "fall is 3, and never did three failures come in a row: a success clears those before it")
	})

	t.Run("starts_over_after_a_failure", func(t *testing.T) {
		observe(t, healthcheck.New(3, 1, true),
			"--++-++-+++",
			"dDDDDDDDDDu", "fall is 1, rise is 3: a failure clears the successes before it, so only the last three come in a row")
	})

	t.Run("starts_over_after_a_change", func(t *testing.T) {
		observe(t, healthcheck.New(2, 3, true),
			"----++--+---++",
			"UUdDDuUUUUUdDu", "fall is 3, rise is 2: what led to one change does not count towards the next")
	})

	t.Run("takes_a_timeout_for_a_failure", func(t *testing.T) {
		for _, timeout := range timeouts(t) {
			observeFailing(t, healthcheck.New(1, 2, true), timeout,
				"+--+",
				"UUdu", "fall is 2, and two checks in a row ended in a timeout. A timeout is a failure: a backend that hangs takes requests and answers none, which is worse than one that refuses them")
			observeFailing(t, healthcheck.New(2, 1, false), timeout,
				"+-++",
				"DDDu", "rise is 2, and between the first success and the second, a check ended in a timeout. A timeout is a failure, and clears the successes before it")
		}
	})

	t.Run("takes_every_error_for_a_failure", func(t *testing.T) {
		for _, failure := range []error{io.EOF, fmt.Errorf("check: %w", context.Canceled), errors.New("")} {
			observeFailing(t, healthcheck.New(1, 2, true), failure,
				"+--+",
				"UUdu", "fall is 2, and two checks in a row failed. Every error is a failure, whichever it is: a check that found out nothing is not reported at all, so that Observe has nothing to sort out")
		}
	})

	t.Run("takes_one_result_for_enough_when_nothing_else_is_asked", func(t *testing.T) {
		observe(t, healthcheck.New(0, 0, true),
			"+-+-",
			"Udud", "rise and fall of 0 count as 1: each result changes the opinion")
	})

	t.Run("answers_each_of_many_at_once_for_itself", func(t *testing.T) {
		// Who comes between the change and the answer shows only at a lucky moment:
		// for as many as make one likely.
		const goroutines, while = 8, 100 * time.Millisecond
		tracker := healthcheck.New(1, 1, true)
		var wrong, ups, downs atomic.Int64
		finish(t, func() {
			gate := make(chan struct{})
			var all sync.WaitGroup
			for i := range goroutines {
				err := []error{nil, errors.New("refused")}[i%2]
				all.Go(func() {
					<-gate
					for began := time.Now(); wrong.Load() == 0 && time.Since(began) < while; {
						for range 1000 {
							up, changed := tracker.Observe(err)
							if up != (err == nil) {
								wrong.Add(1)
							}
							if changed && up {
								ups.Add(1)
							} else if changed {
								downs.Add(1)
							}
						}
					}
				})
			}
			close(gate)
			all.Wait()
		})
		require.Zero(t, wrong.Load(), "rise and fall are 1, and %d goroutines observe results, half of them failures. Each result settles it: Observe returns up after a success, and not up after a failure, whoever else observes meanwhile. So many answers were another's. What is returned must be read before t.mu is unlocked", goroutines)
		assert.Equal(t, tracker.Up(), downs.Load() == ups.Load(), "rise and fall are 1, it began up, and %d goroutines observed results, half of them failures. By the answers it went down %d times and came up %d times, which must take turns", goroutines, downs.Load(), ups.Load())
	})

	t.Run("counts_all_results_of_many_at_once", func(t *testing.T) {
		const goroutines, each = 4, 50_000
		tracker := healthcheck.New(goroutines*each, goroutines*each, true)
		for _, result := range []struct {
			err error
			up  bool
		}{{errors.New("refused"), false}, {nil, true}} {
			var changes atomic.Int64
			finish(t, func() {
				gate := make(chan struct{})
				var all sync.WaitGroup
				for range goroutines {
					all.Go(func() {
						<-gate
						for range each {
							if _, changed := tracker.Observe(result.err); changed {
								changes.Add(1)
							}
						}
					})
				}
				close(gate)
				all.Wait()
				assert.Equal(t, result.up, tracker.Up(), "rise and fall are %d, and %d goroutines observed %d results each, all %v: that is enough for a change. When results get lost, is t.mu held while t.against is read and written?", goroutines*each, goroutines, each, result.err)
			})
			require.EqualValues(t, 1, changes.Load(), "%d goroutines observed %d results each at once, and rise and fall are as many as all of these together: for exactly one, the last, changed must be true. When results get lost, is t.mu held while t.against is read and written?", goroutines, each)
		}
	})
}

// observe lets tracker see the results one by one, and compares what it thinks
// of them.
func observe(t *testing.T, tracker *healthcheck.Tracker, results, want, rule string) {
	t.Helper()
	observeFailing(t, tracker, errors.New("connection refused"), results, want, rule)
}

// observeFailing is observe, with checks that fail by this error.
func observeFailing(t *testing.T, tracker *healthcheck.Tracker, failure error, results, want, rule string) {
	t.Helper()
	var got strings.Builder
	finish(t, func() {
		for _, result := range results {
			var err error
			if result == '-' {
				err = failure
			}
			up, changed := tracker.Observe(err)
			opinion := "D"
			if up {
				opinion = "U"
			}
			if changed {
				opinion = strings.ToLower(opinion)
			}
			got.WriteString(opinion)
		}
	})
	if got.String() != want {
		require.Fail(t, "the tracker is of another opinion", "checks   %s   (+ succeeded, - failed: %v)\nwanted   %s   (U up, D down; small: this result changed it)\ngot      %s\n%s",
			results, failure, want, got.String(), rule)
	}
	finish(t, func() {
		assert.Equal(t, strings.HasSuffix(strings.ToUpper(want), "U"), tracker.Up(), "after checks %s: Up says what the last Observe said", results)
	})
}

// timeouts are errors of operations that took too long, from where they come
// from in practice.
func timeouts(t *testing.T) []error {
	t.Helper()
	client := &http.Client{Transport: silent{}, Timeout: time.Millisecond}
	_, fromClient := client.Get("http://backend.test/health")
	require.Error(t, fromClient)

	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(-time.Second)))
	_, fromConn := ours.Read(make([]byte, 1))
	require.ErrorIs(t, fromConn, os.ErrDeadlineExceeded)

	return []error{context.DeadlineExceeded, fmt.Errorf("check: %w", context.DeadlineExceeded), fromClient, fromConn}
}

// silent is a server that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// stuck is set when a call has not returned, so that the others need not be
// waited for.
var stuck atomic.Bool

// finish calls f, which has a second to return. A second of this program, that
// is: the time that a busy machine lets all of it stand still does not count.
func finish(t *testing.T, f func()) {
	t.Helper()
	require.False(t, stuck.Load(), "not tried: an earlier call of Observe has not returned")
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	for range 100 {
		select {
		case p := <-done:
			require.Nil(t, p, "Observe panicked")
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	stuck.Store(true)
	require.Fail(t, "Observe has not returned after a second", "Does every return unlock t.mu? defer t.mu.Unlock() sees to that. And Observe must not call Up, which locks it, too")
}
