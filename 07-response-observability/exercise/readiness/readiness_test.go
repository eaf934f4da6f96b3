package readiness_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/07-response-observability/exercise/readiness"
)

var errLost = errors.New("dial tcp 127.0.0.1:5432: connection refused")

func well(context.Context) error { return nil }
func lost(context.Context) error { return errLost }

// hangs is a check of a machine that does not answer.
func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func health(t *testing.T, c readiness.Config) *readiness.Health {
	t.Helper()
	h, err := readiness.New(c)
	require.NoError(t, err)
	return h
}

// replica is a started one whose database, which it shares, and disk are checked so.
func replica(t *testing.T, disk, database func(context.Context) error) *readiness.Health {
	t.Helper()
	h := health(t, readiness.Config{
		Own:    []readiness.Check{{Name: "disk", Do: disk}},
		Shared: []readiness.Check{{Name: "postgres", Do: database}},
	})
	h.Started()
	return h
}

func ask(handler http.HandlerFunc, r *http.Request) (code int, body string) {
	w := httptest.NewRecorder()
	handler(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

// hint is what to think about when there is no answer.
const hint = "Is there a loop that waits until all is well, or a context that neither the request nor Config.Timeout ends?"

// patience is how long there may be no answer. Once there was none, the others are not
// waited for as long.
var patience = 6 * time.Second

// answered is ask, of a handler that must not be long.
func answered(t *testing.T, handler http.HandlerFunc, r *http.Request) (code int, body string) {
	t.Helper()
	done := make(chan string, 1)
	go func() { done <- panics.In(func() { code, body = ask(handler, r) }) }()
	select {
	case fault := <-done:
		require.Empty(t, fault, "GET %s panicked", r.URL)
	case <-time.After(patience):
		waited := patience
		patience = 500 * time.Millisecond
		require.FailNow(t, "no answer", "GET %s has no answer after %s. %s", r.URL, waited, hint)
	}
	return code, body
}

// bubble runs f where time is at its command (testing/synctest). What waits for ever
// would end all tests of the package, or none: so it is caught, and a clock outside
// watches.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		fault := ""
		defer func() { ended <- fault }() // also where f failed, and this goroutine with it
		fault = panics.In(func() { synctest.Test(t, f) })
	}()
	select {
	case fault := <-ended:
		require.Empty(t, fault, "a check, or who waits for one, still waits when all is over. %s", hint)
	case <-time.After(patience):
		patience = 500 * time.Millisecond
		require.FailNow(t, "no answer", "GET /readyz has no answer. %s", hint)
	}
}

// ready asks h.Ready, for five seconds at most, and returns its answer in parts.
func ready(t *testing.T, h *readiness.Health) (code int, status readiness.Status, failed []string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	code, body := answered(t, h.Ready, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
	var said struct {
		Status readiness.Status `json:"status"`
		Failed []string         `json:"failed"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &said),
		"GET /readyz was answered with %d and %q: the body is what answer writes, such as {\"status\": \"ready\"}", code, body)
	return code, said.Status, said.Failed
}

func TestLive(t *testing.T) {
	live := func(t *testing.T, h *readiness.Health, as string) {
		t.Helper()
		done := make(chan struct{})
		var code int
		var body string
		go func() {
			defer close(done)
			code, body = ask(h.Live, httptest.NewRequest(http.MethodGet, "/livez", nil))
		}()
		select {
		case <-done:
		case <-time.After(time.Second):
			require.Fail(t, "Live did not answer in a second, as in: "+as+". It asks nobody: then it can always answer")
		}
		require.Equal(t, "live", body, "GET /livez, as in: %s: the body is the word live", as)
		require.Equal(t, http.StatusOK, code, "GET /livez, as in: %s: a process that can answer is live, and any other status gets it killed", as)
	}
	t.Run("is_live_as_long_as_it_can_answer", func(t *testing.T) {
		live(t, replica(t, well, well), "all is well")
	})
	t.Run("asks_no_database", func(t *testing.T) {
		var asked atomic.Int32
		h := replica(t, well, func(context.Context) error { asked.Add(1); return errLost })
		live(t, h, "the database is lost. A supervisor would kill every replica for it, again and again, and the database would not be healed by that")
		require.Zero(t, asked.Load(), "GET /livez asked the database %d times: liveness is about the process alone", asked.Load())
	})
	t.Run("is_live_while_it_starts_and_while_it_ends", func(t *testing.T) {
		h := health(t, readiness.Config{})
		live(t, h, "it is still starting. Who is killed for that never gets to the end of it")
		h.Started()
		h.Drain()
		live(t, h, "it is draining. Who is killed for that breaks off what it wanted to finish")
	})
}

func TestReady(t *testing.T) {
	t.Run("is_ready_when_all_is_well", func(t *testing.T) {
		code, status, failed := ready(t, replica(t, well, well))
		require.Equal(t, readiness.Ready, status, "GET /readyz of a replica that has started, and whose checks all pass")
		require.Equal(t, http.StatusOK, code, "it is ready: 200")
		require.Empty(t, failed, "nothing failed")
	})
	t.Run("is_not_ready_before_it_has_started", func(t *testing.T) {
		h := health(t, readiness.Config{Own: []readiness.Check{{Name: "disk", Do: well}}})
		code, status, _ := ready(t, h)
		require.Equal(t, readiness.Starting, status, "GET /readyz before Started was called")
		require.Equal(t, http.StatusServiceUnavailable, code, "GET /readyz before Started was called: with 200, the balancer would send requests to who cannot answer them yet")
	})
	t.Run("is_not_ready_once_it_drains", func(t *testing.T) {
		h := replica(t, well, well)
		h.Drain()
		code, status, _ := ready(t, h)
		require.Equal(t, readiness.Draining, status, "GET /readyz after Drain: that all checks pass does not help, it is about to end")
		require.Equal(t, http.StatusServiceUnavailable, code, "GET /readyz after Drain: with 200, the balancer goes on sending requests to who is about to end")
	})
	t.Run("drains_even_if_it_never_started", func(t *testing.T) {
		h := health(t, readiness.Config{})
		h.Drain()
		_, status, _ := ready(t, h)
		require.Equal(t, readiness.Draining, status, "GET /readyz after Drain, without Started: Draining comes before Starting, which promises that it will be ready")
	})
	t.Run("leaves_when_something_of_its_own_fails", func(t *testing.T) {
		code, status, failed := ready(t, replica(t, lost, well))
		require.Equal(t, readiness.NotReady, status, "GET /readyz when the check of this replica's disk, one of Own, fails")
		require.Equal(t, http.StatusServiceUnavailable, code, "its own disk is broken, and the other replicas' are not: they can do better, so 503")
		require.Equal(t, []string{"disk"}, failed, "the body names what failed")
	})
	t.Run("stays_when_what_all_share_is_lost", func(t *testing.T) {
		var codes []int
		for range 3 {
			code, status, failed := ready(t, replica(t, well, lost))
			require.Equal(t, readiness.Degraded, status, "GET /readyz when the check of the database, one of Shared, fails")
			require.Equal(t, []string{"postgres"}, failed, "the body names what failed")
			codes = append(codes, code)
		}
		require.Equal(t, []int{200, 200, 200}, codes, "GET /readyz of three replicas whose common database is lost: all of them would leave at the same moment, and nobody would be left to serve even what the cache still has")
	})
	t.Run("its_own_fault_counts_when_the_database_is_lost_too", func(t *testing.T) {
		code, status, failed := ready(t, replica(t, lost, lost))
		require.Equal(t, readiness.NotReady, status, "GET /readyz when its own disk fails, and the database: NotReady comes before Degraded")
		require.Equal(t, http.StatusServiceUnavailable, code)
		require.Equal(t, []string{"disk", "postgres"}, failed, "the body names all that failed, those of Own first")
	})
	t.Run("one_of_several_is_enough", func(t *testing.T) {
		h := func(worker, memcached func(context.Context) error) *readiness.Health {
			h := health(t, readiness.Config{
				Own:    []readiness.Check{{Name: "disk", Do: well}, {Name: "worker", Do: worker}},
				Shared: []readiness.Check{{Name: "postgres", Do: well}, {Name: "memcached", Do: memcached}},
			})
			h.Started()
			return h
		}
		_, status, failed := ready(t, h(lost, lost))
		require.Equal(t, readiness.NotReady, status, "GET /readyz when one of two checks of Own fails, and one of two of Shared: without its worker, a replica cannot serve, however well its disk is")
		require.Equal(t, []string{"worker", "memcached"}, failed, "the body names what failed, and nothing else")
		_, status, failed = ready(t, h(well, lost))
		require.Equal(t, readiness.Degraded, status, "GET /readyz when one of two checks of Shared fails: operators are to see that")
		require.Equal(t, []string{"memcached"}, failed, "the body names what failed, and nothing else")
	})
	t.Run("is_ready_again_when_the_fault_has_passed", func(t *testing.T) {
		var fault atomic.Bool
		does := func(ctx context.Context) error {
			if fault.Load() {
				return errLost
			}
			return nil
		}
		for _, test := range []struct {
			h    *readiness.Health
			when string
			want readiness.Status
		}{
			{replica(t, does, well), "its own disk", readiness.NotReady},
			{replica(t, well, does), "the database", readiness.Degraded},
		} {
			fault.Store(true)
			_, status, _ := ready(t, test.h)
			require.Equal(t, test.want, status, "GET /readyz when the check of %s fails", test.when)
			fault.Store(false)
			code, status, failed := ready(t, test.h)
			require.Equal(t, readiness.Ready, status, "GET /readyz when the check of %s has failed before, and passes now: each answer is by checks of its own. Who stays away for ever after one fault is missing when he is needed", test.when)
			require.Equal(t, http.StatusOK, code, "it is ready again: 200")
			require.Empty(t, failed, "nothing fails any more")
		}
	})
	t.Run("does_not_wait_for_a_check_that_hangs", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			h := health(t, readiness.Config{Shared: []readiness.Check{{Name: "postgres", Do: hangs}, {Name: "memcached", Do: hangs}}, Timeout: 200 * time.Millisecond})
			h.Started()
			// Whoever asks gives up after 5 seconds, so that this test ends.
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			begin := time.Now()
			code, body := answered(t, h.Ready, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
			took := time.Since(begin)
			require.NotEmpty(t, body, "GET /readyz has no body: it is what answer writes")
			require.Equal(t, 200*time.Millisecond, took, "GET /readyz took %v, with a database and a cache that do not answer and a Timeout of 200ms, which bounds all checks together: a balancer takes who is slow to answer for dead", took)
			require.Equal(t, http.StatusOK, code, "a check that hangs has failed, as any other: the body was %s", body)
		})
	})
	t.Run("names_the_one_that_hangs_and_no_other", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			checks := []readiness.Check{{Name: "postgres", Do: hangs}}
			for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
				checks = append(checks, readiness.Check{Name: name, Do: func(ctx context.Context) error { return ctx.Err() }})
			}
			h := health(t, readiness.Config{Shared: checks, Timeout: 200 * time.Millisecond})
			h.Started()
			_, status, failed := ready(t, h)
			require.Equal(t, readiness.Degraded, status, "GET /readyz when one of thirteen Shared checks hangs, and the others pass at once")
			require.Equal(t, []string{"postgres"}, failed, "what failed, where the first of thirteen checks hangs, and the others pass at once: look makes them side by side, so that none of them waits for another one, and finds the time over")
		})
	})
	t.Run("ends_its_checks_when_whoever_asked_has_left", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ended := make(chan time.Duration, 1)
			begin := time.Now()
			h := health(t, readiness.Config{Shared: []readiness.Check{{Name: "postgres", Do: func(ctx context.Context) error {
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Second):
				}
				ended <- time.Since(begin)
				return nil
			}}}, Timeout: 3 * time.Second})
			h.Started()
			ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer stop()
			answered(t, h.Ready, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
			select {
			case took := <-ended:
				require.Equal(t, 100*time.Millisecond, took, "a check ended %v after GET /readyz, whose client left after 100ms: the checks' context is made of the request's", took)
			case <-time.After(10 * time.Second):
				require.Fail(t, "no check was made", "a replica that has started makes all its checks")
			}
		})
	})
	t.Run("ends_its_context_with_the_answer", func(t *testing.T) {
		given := make(chan context.Context, 1)
		h := replica(t, well, func(ctx context.Context) error { given <- ctx; return nil })
		_, body := answered(t, h.Ready, httptest.NewRequest(http.MethodGet, "/readyz", nil)) // whose context does not end
		require.Contains(t, body, `"ready"`, "GET /readyz of a replica that has started, and whose checks all pass")
		require.Len(t, given, 1, "checks of the database that were made for GET /readyz")
		require.Error(t, (<-given).Err(), "GET /readyz is answered, and the context of its checks has not ended: its timer, and whatever a check has left running, stay until Timeout is over, several times a second. context.WithTimeout returns the function that ends it, for a defer")
	})
	t.Run("makes_each_check_once", func(t *testing.T) {
		var disk, database atomic.Int32
		h := replica(t, func(context.Context) error { disk.Add(1); return nil }, func(context.Context) error { database.Add(1); return nil })
		_, status, _ := ready(t, h)
		require.Equal(t, readiness.Ready, status)
		require.Equal(t, []int32{1, 1}, []int32{disk.Load(), database.Load()}, "GET /readyz asked the disk and the database so often: once is enough, it happens several times a second")
	})
	t.Run("makes_no_check_while_it_starts", func(t *testing.T) {
		var asked atomic.Int32
		check := func(context.Context) error { asked.Add(1); return nil }
		h := health(t, readiness.Config{Own: []readiness.Check{{Name: "disk", Do: check}}, Shared: []readiness.Check{{Name: "postgres", Do: check}}})
		_, status, _ := ready(t, h)
		require.Equal(t, readiness.Starting, status)
		require.Zero(t, asked.Load(), "GET /readyz before Started has made %d checks: the answer is clear, and what they look at may not be there yet", asked.Load())
	})
	t.Run("makes_no_check_while_it_drains", func(t *testing.T) {
		var asked atomic.Int32
		h := replica(t, well, func(context.Context) error { asked.Add(1); return nil })
		h.Drain()
		_, status, _ := ready(t, h)
		require.Equal(t, readiness.Draining, status)
		require.Zero(t, asked.Load(), "GET /readyz after Drain asked the database: the answer is clear, and the pool may be closed already")
	})
}

// These hold for the given part.
//
//workshop:guard TestNew/...
func TestNew(t *testing.T) {
	t.Run("names_all_faults", func(t *testing.T) {
		_, err := readiness.New(readiness.Config{
			Own:     []readiness.Check{{Name: "disk", Do: well}, {Do: well}},
			Shared:  []readiness.Check{{Name: "disk", Do: well}, {Name: "postgres"}},
			Timeout: -1,
		})
		assert.ErrorContains(t, err, `check ""`)
		assert.ErrorContains(t, err, `check "disk"`)
		assert.ErrorContains(t, err, `check "postgres"`)
		assert.ErrorContains(t, err, "negative")
	})
	t.Run("is_at_peace_with_no_checks", func(t *testing.T) {
		_, err := readiness.New(readiness.Config{})
		assert.NoError(t, err)
	})
}
