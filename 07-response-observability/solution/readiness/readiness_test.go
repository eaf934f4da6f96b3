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

	"clicktocode.example/07-response-observability/solution/readiness"
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

// ready asks h.Ready, and returns its answer in parts.
func ready(t *testing.T, h *readiness.Health) (code int, status readiness.Status, failed []string) {
	t.Helper()
	code, body := ask(h.Ready, httptest.NewRequest(http.MethodGet, "/readyz", nil))
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
	t.Run("does_not_wait_for_a_check_that_hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := health(t, readiness.Config{Shared: []readiness.Check{{Name: "postgres", Do: hangs}}, Timeout: 200 * time.Millisecond})
			h.Started()
			// Whoever asks gives up after 5 seconds, so that this test ends.
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			begin := time.Now()
			code, body := ask(h.Ready, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
			took := time.Since(begin)
			require.NotEmpty(t, body, "GET /readyz has no body: it is what answer writes")
			require.Equal(t, 200*time.Millisecond, took, "GET /readyz took %v, with a database that does not answer and a Timeout of 200ms: a balancer takes who is slow to answer for dead", took)
			require.Equal(t, http.StatusOK, code, "a check that hangs has failed, as any other: the body was %s", body)
		})
	})
	t.Run("ends_its_checks_when_whoever_asked_has_left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
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
			ask(h.Ready, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
			select {
			case took := <-ended:
				require.Equal(t, 100*time.Millisecond, took, "a check ended %v after GET /readyz, whose client left after 100ms: the checks' context is made of the request's", took)
			case <-time.After(10 * time.Second):
				require.Fail(t, "no check was made", "a replica that has started makes all its checks")
			}
		})
	})
	t.Run("makes_each_check_once", func(t *testing.T) {
		var disk, database atomic.Int32
		h := replica(t, func(context.Context) error { disk.Add(1); return nil }, func(context.Context) error { database.Add(1); return nil })
		_, status, _ := ready(t, h)
		require.Equal(t, readiness.Ready, status)
		require.Equal(t, []int32{1, 1}, []int32{disk.Load(), database.Load()}, "GET /readyz asked the disk and the database so often: once is enough, it happens several times a second")
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
