package outlier_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/solution/outlier"
)

// The times and the threshold of the tests that set none of their own.
const (
	base     = 30 * time.Second
	longest  = 100 * time.Second
	failures = 3
)

func TestReport(t *testing.T) {
	t.Run("ejects_after_failures_in_a_row", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 3, outlier.Config{})
			s.fail("a", failures-1)
			require.Equal(t, "a b c", s.available(), "Failures is 3, and two requests to a were answered by 503: that is not enough")
			s.fail("a", 1)
			require.Equal(t, "b c", s.available(), "Failures is 3, and three requests to a in a row were answered by 503: it is ejected, and the others take its requests")
			s.fail("b", failures-1)
			require.Equal(t, "b c", s.available(), "three requests failed at a, and two at b: each backend has a count of its own")
		})
	})

	t.Run("takes_every_5xx_for_a_failure", func(t *testing.T) {
		for _, status := range []int{500, 501, 502, 504, 599, 600} {
			bubble(t, func(t *testing.T) {
				s := newScene(t, 3, outlier.Config{})
				for range failures {
					s.Report(s.get("a"), status, nil)
				}
				require.Equal(t, "b c", s.available(), "three requests to a were answered by %d: a status of 500 and above is a failure (RFC 9110 §15.6, and §15 on those above 599)", status)
			})
		}
	})

	t.Run("takes_what_went_wrong_on_the_way_for_a_failure", func(t *testing.T) {
		for _, tt := range []struct {
			name string
			err  error
		}{
			{"a connection that was refused", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}},
			{"a connection that broke before the answer", io.ErrUnexpectedEOF},
			{"a timeout", fmt.Errorf("no answer from a: %w", context.DeadlineExceeded)},
		} {
			bubble(t, func(t *testing.T) {
				s := newScene(t, 5, outlier.Config{})
				for range failures {
					s.Report(s.get("a"), 0, tt.err)
				}
				require.Equal(t, "b c d e", s.available(), "three requests to a ended in %s (%v): that is a failure like a 503", tt.name, tt.err)
				for range failures {
					s.Report(s.get("b"), 200, tt.err)
				}
				require.Equal(t, "c d e", s.available(), "three requests to b ended in %s (%v), after a header with status 200: with an error, status means nothing", tt.name, tt.err)
			})
		}
	})

	t.Run("starts_over_after_a_success", func(t *testing.T) {
		for _, status := range []int{200, 101, 204, 304} {
			bubble(t, func(t *testing.T) {
				s := newScene(t, 3, outlier.Config{})
				for range 4 {
					s.fail("a", failures-1)
					s.Report(s.get("a"), status, nil)
				}
				require.Equal(t, "a b c", s.available(), "Failures is 3, and never did three requests to a in a row fail: a success, here a %d, clears what was counted, or the failures of a whole day would add up. Whatever is below 500 is a success", status)
				s.fail("a", failures)
				require.Equal(t, "b c", s.available(), "after the last success, three in a row failed")
			})
		}
	})

	t.Run("takes_no_4xx_for_a_failure", func(t *testing.T) {
		for _, status := range []int{400, 401, 404, 409, 422, 429, 499} {
			bubble(t, func(t *testing.T) {
				s := newScene(t, 3, outlier.Config{})
				for range 5 * failures {
					s.Report(s.get("a"), status, nil)
				}
				require.Equal(t, "a b c", s.available(), "fifteen requests to a were answered by %d. With a 4xx the backend says that the client is wrong (RFC 9110 §15.5), and to say so it must be well. Otherwise one client could take out the whole pool, by asking for what is not there", status)
				s.fail("a", failures-1)
				s.Report(s.get("a"), status, nil)
				s.fail("a", failures-1)
				require.Equal(t, "a b c", s.available(), "two answers of 503, one of %d, two of 503: the 4xx is a success, and clears what was counted", status)
				s.fail("a", 1)
				require.Equal(t, "b c", s.available(), "after the %d, three requests in a row failed", status)
			})
		}
	})

	t.Run("takes_no_client_that_left_for_a_failure", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 3, outlier.Config{})
			left := fmt.Errorf("no answer from a: %w", context.Canceled)
			for range 5 * failures {
				s.Report(s.get("a"), 0, left)
			}
			require.Equal(t, "a b c", s.available(), "fifteen clients of a left before it had answered (%v): whether it would have answered, nobody knows", left)
			s.fail("a", failures-1)
			s.Report(s.get("a"), 0, left)
			require.Equal(t, "a b c", s.available(), "two requests to a failed, and then a client left (%v): that is no third failure", left)
			s.fail("a", 1)
			require.Equal(t, "b c", s.available(), "two requests to a failed, a client left (%v), another failed. The client that left says nothing, so it is no success either: three failed in a row", left)
		})
	})

	t.Run("brings_back_when_its_time_is_over", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 3, outlier.Config{})
			s.fail("a", failures)
			s.ejectedFor(t, "a", base, "its first ejection lasts BaseTime. (Does ejectLocked end it? b.SetEjected alone sets no timer)")
			assert.Equal(t, []string{"a ejected", "a back"}, s.changes, "OnChange is told of both")
			s.fail("a", failures-1)
			require.Equal(t, "a b c", s.available(), "a is back, and two requests to it failed: after an ejection the count begins at zero, and Failures is 3")
		})
	})

	t.Run("ejects_for_longer_each_time", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 3, outlier.Config{})
			for i, want := range []time.Duration{base, 2 * base, 3 * base, longest, longest} {
				s.fail("a", failures)
				s.ejectedFor(t, "a", want, "ejection %d, and a failed again each time as soon as it was back. BaseTime is %s, and MaxTime %s: each ejection lasts a BaseTime longer than the last, up to MaxTime. Whoever tries a dead backend every 30 s for a whole night fails that many requests", i+1, base, longest)
			}
		})
	})

	t.Run("forgives_with_time", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 3, outlier.Config{})
			const rule = "BaseTime is 30 s. The time that a backend was back is taken off, so that it does not pay for what is long over"
			s.fail("a", failures)
			s.ejectedFor(t, "a", base, "its first ejection lasts BaseTime")
			time.Sleep(10 * time.Second)
			s.Report(s.get("a"), 200, nil)
			s.fail("a", failures)
			s.ejectedFor(t, "a", 50*time.Second, "it was ejected for 30 s, back for 10 s, with one request that went well, and failed again: 30 s + 30 s - 10 s. A success clears the count of failures, and not how long it was ejected. "+rule)
			time.Sleep(20 * time.Second)
			s.fail("a", failures)
			s.ejectedFor(t, "a", 60*time.Second, "it was ejected for 50 s, back for 20 s, and failed again: 50 s + 30 s - 20 s. "+rule)
			time.Sleep(time.Hour)
			s.fail("a", failures)
			s.ejectedFor(t, "a", base, "it was well for an hour, and failed again: an ejection lasts BaseTime at least. "+rule)
		})
	})

	t.Run("ignores_what_was_sent_before_the_ejection", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 3, outlier.Config{})
			s.fail("a", failures)
			require.Equal(t, "b c", s.available(), "three requests to a in a row failed")
			time.Sleep(10 * time.Second)
			s.fail("a", 4*failures)
			s.ejectedFor(t, "a", base-10*time.Second, "ten seconds after it was ejected, requests failed that had been sent before. They find out nothing new: its ejection ends as if they had not been")
			s.fail("a", failures-1)
			require.Equal(t, "a b c", s.available(), "a is back, and two requests to it failed: what came in while it was ejected does not count")
		})
	})

	t.Run("ignores_what_is_reported_of_one_that_gets_no_requests", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 5, outlier.Config{})
			for _, state := range []struct {
				name    string
				backend string
				set     func(bool) bool
			}{{"down", "a", s.get("a").SetDown}, {"draining", "b", s.get("b").SetDraining}} {
				was := s.available()
				s.fail(state.backend, failures-1)
				state.set(true)
				s.Report(s.get(state.backend), 200, nil)
				s.fail(state.backend, 4*failures)
				state.set(false)
				require.Equal(t, was, s.available(), "two requests to %[1]s failed. Then it was %[2]s, and what had been sent before came to its end: many failures, which say nothing new. It is not %[2]s any more, so it is available", state.backend, state.name)
				s.fail(state.backend, 1)
				require.NotContains(t, s.available(), state.backend, "two requests to %[1]s failed, then it was %[2]s for a while, then another failed. What was reported of it while it was %[2]s is ignored, a success, too: three in a row failed", state.backend, state.name)
			}
		})
	})

	t.Run("keeps_serving_in_an_outage_of_all", func(t *testing.T) {
		for _, tt := range []struct {
			backends     int
			minAvailable float64
			want         int
		}{
			{1, 0, 1}, {2, 0, 1}, {3, 0, 2}, {4, 0, 2}, {5, 0, 3}, {10, 0.75, 8}, {10, 0.01, 1}, {3, 1, 3},
		} {
			bubble(t, func(t *testing.T) {
				s := newScene(t, tt.backends+1, outlier.Config{MinAvailable: tt.minAvailable})
				gone := s.pool.Remove(string(rune('a' + tt.backends)))
				require.NotNil(t, gone)
				for range failures {
					for _, b := range s.pool.Backends() {
						s.Report(b, 503, nil)
					}
				}
				share := tt.minAvailable
				if share == 0 {
					share = 0.5
				}
				require.Equal(t, tt.want, len(strings.Fields(s.available())), "of %d backends all fail, and MinAvailable is %v: so many must stay available. When all fail, the fault is none of theirs, and whoever ejects all of them turns errors into an outage. Left are: %q", tt.backends, share, s.available())
				// So that this shows something also where nothing may be ejected.
				require.NoError(t, s.pool.Add(gone))
				for i := range 2 * tt.backends {
					require.NoError(t, s.pool.Add(backend(t, fmt.Sprintf("more%d", i))))
				}
				if tt.minAvailable < 1 {
					was := len(strings.Fields(s.available()))
					s.fail(strings.Fields(s.available())[0], failures)
					require.Equal(t, was-1, len(strings.Fields(s.available())), "the pool has grown, so there is room for one more ejection: the first backend that is available fails three times more, and is ejected")
				}
			})
		}
	})

	t.Run("counts_those_that_are_not_available_anyway", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 4, outlier.Config{})
			s.get("a").SetDown(true)
			s.get("b").SetDraining(true)
			s.fail("c", failures)
			require.Equal(t, "c d", s.available(), "of four backends a is down and b is draining. c failed three times, but without it one of four would be left, and MinAvailable is 0.5: it stays")
			s.get("b").SetDraining(false)
			s.fail("c", 1)
			require.Equal(t, "b d", s.available(), "b takes requests again, so there is room, and c failed once more. What was counted against c while it could not be ejected still counts")
		})
	})

	t.Run("ejects_one_at_a_time", func(t *testing.T) {
		events, gate := make(chan any, 4), make(chan struct{})
		s := newScene(t, 5, outlier.Config{Failures: 1, BaseTime: time.Hour, OnChange: func(*balancer.Backend, bool) {
			events <- "ejecting"
			<-gate
		}})
		report := func(name string) {
			defer func() { events <- recover() }()
			s.fail(name, 1)
		}
		go report("a")
		require.Equal(t, "ejecting", await(t, events), "Failures is 1, and a request to a failed: ejectLocked must be called, which calls OnChange. Report has returned without")
		go report("b")
		select {
		case event := <-events:
			require.Equal(t, "", event, "a was being ejected, and at the same time so was b: two that look at once how many others are left both find enough, and in the end all are ejected. Hold d.mu from the look to the ejection")
		case <-time.After(50 * time.Millisecond): // long enough to do what is wrong
		}
		close(gate)
		for range 3 { // b's ejection, and the end of both calls
			if event := await(t, events); event != "ejecting" {
				require.Nil(t, event, "Report panicked")
			}
		}
		require.Equal(t, "c d e", s.available(), "one failure ejects, and a and b had one")
	})

	t.Run("counts_what_many_report_at_once", func(t *testing.T) {
		const goroutines, each = 4, 20_000
		s := newScene(t, 3, outlier.Config{Failures: goroutines*each + 1, BaseTime: time.Hour})
		done := make(chan any, 1)
		go func() {
			defer func() { done <- recover() }()
			var all sync.WaitGroup
			for range goroutines {
				all.Go(func() { s.fail("a", each) })
			}
			all.Wait()
		}()
		require.Nil(t, await(t, done), "Report panicked")
		require.Equal(t, "a b c", s.available(), "Failures is %d, and one less was reported", goroutines*each+1)
		s.fail("a", 1)
		require.Equal(t, "b c", s.available(), "%d goroutines reported %d failures each, and then came one more: that is what Failures says. When some get lost, is d.mu held while they are counted?", goroutines, each)
	})
}

func TestReview(t *testing.T) {
	t.Run("brings_all_back_when_too_few_are_left", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 5, outlier.Config{})
			s.fail("a", failures)
			s.fail("b", failures)
			require.Equal(t, "c d e", s.available(), "of five backends two failed three times")
			require.False(t, s.Review(), "three of five are available, and MinAvailable is 0.5: nothing to do")
			require.Equal(t, "c d e", s.available())
			s.get("c").SetDown(true)
			require.True(t, s.Review(), "an active check found c down: two of five are left, which is too few")
			require.Equal(t, "a b d e", s.available(), "that a and b are bad is a guess, that too few are left is not: the ejected ones come back")
			require.False(t, s.Review(), "there is nobody left to bring back")
			time.Sleep(2 * longest)
			synctest.Wait()
			require.Equal(t, []string{"a ejected", "b ejected", "a back", "b back"}, s.sorted(), "each came back once")
		})
	})
}

func TestClose(t *testing.T) {
	t.Run("brings_all_back", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := newScene(t, 3, outlier.Config{})
			s.fail("a", failures)
			require.Equal(t, "b c", s.available(), "three requests to a in a row failed")
			s.Close()
			require.Equal(t, "a b c", s.available(), "without the detector nobody would bring a back later")
			s.fail("a", failures)
			require.Equal(t, "a b c", s.available(), "and nobody is ejected any more")
		})
	})
}

// New is given.
//
//workshop:guard TestNew/names_all_faults_of_its_config
func TestNew(t *testing.T) {
	t.Run("names_all_faults_of_its_config", func(t *testing.T) {
		_, err := outlier.New(&balancer.Pool{}, outlier.Config{Failures: -1, BaseTime: time.Minute, MaxTime: time.Second, MinAvailable: 1.5})
		require.Error(t, err)
		for _, part := range []string{"-1 failures", "1.5", "maximum time of 1s"} {
			assert.ErrorContains(t, err, part)
		}
	})
}

func BenchmarkReport(b *testing.B) {
	backend, err := balancer.NewBackend("a", "127.0.0.1:1", 1)
	require.NoError(b, err)
	pool, err := balancer.NewPool(backend)
	require.NoError(b, err)
	d, err := outlier.New(pool, outlier.Config{})
	require.NoError(b, err)
	defer d.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d.Report(backend, 200, nil)
		}
	})
}

// scene is a pool of backends a, b, c, and so on, and its detector.
type scene struct {
	*outlier.Detector
	pool    *balancer.Pool
	changes []string // what OnChange was told
}

// newScene fills in what config leaves open.
func newScene(t *testing.T, backends int, config outlier.Config) *scene {
	t.Helper()
	s := &scene{pool: &balancer.Pool{}}
	for i := range backends {
		require.NoError(t, s.pool.Add(backend(t, string(rune('a'+i)))))
	}
	if config.Failures == 0 {
		config.Failures = failures
	}
	if config.BaseTime == 0 {
		config.BaseTime, config.MaxTime = base, longest
	}
	if config.OnChange == nil {
		config.OnChange = func(b *balancer.Backend, ejected bool) {
			what := " back"
			if ejected {
				what = " ejected"
			}
			s.changes = append(s.changes, b.Name()+what)
		}
	}
	d, err := outlier.New(s.pool, config)
	require.NoError(t, err)
	s.Detector = d
	return s
}

func backend(t *testing.T, name string) *balancer.Backend {
	t.Helper()
	b, err := balancer.NewBackend(name, "127.0.0.1:1", 1)
	require.NoError(t, err)
	return b
}

func (s *scene) get(name string) *balancer.Backend { return s.pool.Get(name) }

// fail reports n answers of 503 from the backend of that name.
func (s *scene) fail(name string, n int) {
	b := s.get(name)
	for range n {
		s.Report(b, 503, nil)
	}
}

// available names those that may get requests.
func (s *scene) available() string {
	var names []string
	for _, b := range s.pool.Backends() {
		if b.Available() {
			names = append(names, b.Name())
		}
	}
	return strings.Join(names, " ")
}

// sorted are the changes, where the order within a call does not matter.
func (s *scene) sorted() []string {
	sorted := append([]string(nil), s.changes...)
	for i := 0; i+1 < len(sorted); i += 2 {
		if sorted[i] > sorted[i+1] {
			sorted[i], sorted[i+1] = sorted[i+1], sorted[i]
		}
	}
	return sorted
}

// ejectedFor checks, in a bubble, that a backend is ejected now, and for how
// long. It comes back with it.
func (s *scene) ejectedFor(t *testing.T, name string, want time.Duration, rule string, args ...any) {
	t.Helper()
	rule = fmt.Sprintf(rule, args...)
	b, began := s.get(name), time.Now()
	require.Equal(t, "ejected", b.State(), "%s failed three times in a row, and should be ejected now, for %s: %s", name, want, rule)
	for step := time.Second; b.State() == "ejected" && time.Since(began) < 10*longest; {
		time.Sleep(step)
		synctest.Wait()
	}
	require.Equal(t, "up", b.State(), "%s was ejected, and %s later it still is: it must come back after %s: %s", name, time.Since(began), want, rule)
	require.Equal(t, want, time.Since(began), "%s was ejected for so long, and it should have been %s: %s", name, want, rule)
}

// bubble runs f where time is at its command (testing/synctest). A lock that is
// not given back would hang a bubble for ever, so a clock outside watches.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	require.False(t, stuck.Load(), "not tried: an earlier call of Report has not returned")
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		synctest.Test(t, f)
	}()
	r := await(t, ended)
	require.Nil(t, r, "Report panicked, or waits for something that never comes")
	if t.Failed() {
		t.FailNow()
	}
}

// stuck is set when a call has not returned, so that the others need not be
// waited for.
var stuck atomic.Bool

// await returns what arrives on event, and fails after a second. A second of
// this program, that is: the time that a busy machine lets all of it stand
// still does not count.
func await(t *testing.T, event <-chan any) any {
	t.Helper()
	for range 100 {
		if stuck.Load() {
			break
		}
		select {
		case r := <-event:
			return r
		case <-time.After(10 * time.Millisecond):
		}
	}
	stuck.Store(true)
	require.FailNow(t, "Report has not returned after a second", "is there a way out that does not unlock d.mu? Review and Close lock it, too: Report must not call them, nor wait for anything")
	return nil
}
