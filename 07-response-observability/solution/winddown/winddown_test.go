package winddown_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/07-response-observability/solution/winddown"
)

// diary is who did what, in its order, and when.
type diary struct {
	begin time.Time
	mu    sync.Mutex
	lines []string
	at    map[string]time.Duration
}

func newDiary() *diary { return &diary{begin: time.Now(), at: map[string]time.Duration{}} }

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	d.at[line] = time.Since(d.begin)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, ", ")
}

func (d *diary) when(t *testing.T, line string) time.Duration {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	at, there := d.at[line]
	require.True(t, there, "%q never happened. What did: %v", line, d.lines)
	return at
}

// step takes its time, or is cut when ctx ends.
func (d *diary) step(name string, takes time.Duration) winddown.Step {
	return winddown.Step{Name: name, Do: func(ctx context.Context) error {
		d.note(name + " begins")
		select {
		case <-time.After(takes):
			d.note(name + " ends")
			return nil
		case <-ctx.Done():
			d.note(name + " is cut")
			return ctx.Err()
		}
	}}
}

func (d *diary) fails(name string, err error) winddown.Step {
	return winddown.Step{Name: name, Do: func(context.Context) error { d.note(name + " fails"); return err }}
}

// run is winddown.Run in its own goroutine, so that no test waits for ever.
func run(t *testing.T, ctx context.Context, p winddown.Plan) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- winddown.Run(ctx, p) }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute): // a bubble's
		require.Fail(t, "Run has not returned within a minute", "each list of Steps has a deadline, Plan.Within")
		return nil
	}
}

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestRun(t *testing.T) {
	bubble(t, "first_of_all_it_is_not_ready", func(t *testing.T) {
		d := newDiary()
		err := run(t, t.Context(), winddown.Plan{NotReady: func() { d.note("not ready") }, Servers: []winddown.Step{d.step("http", 0)}})
		require.NoError(t, err)
		require.Equal(t, "not ready, http begins, http ends", d.String(), "what happened: NotReady comes before everything else, so that the balancers send nobody new")
	})
	bubble(t, "serves_on_until_the_balancers_have_noticed", func(t *testing.T) {
		d := newDiary()
		require.NoError(t, run(t, t.Context(), winddown.Plan{
			NotReady: func() { d.note("not ready") }, Notice: 3 * time.Second,
			Servers: []winddown.Step{d.step("http", 0)},
		}))
		require.Zero(t, d.when(t, "not ready"), "NotReady is called at once")
		require.Equal(t, 3*time.Second, d.when(t, "http begins"), "the server was told to end so long after NotReady, with a Notice of 3s: the balancers see it with their next check only, and whom they send until then meets a closed door")
	})
	bubble(t, "ends_servers_then_workers_then_pools", func(t *testing.T) {
		d := newDiary()
		require.NoError(t, run(t, t.Context(), winddown.Plan{
			Servers: []winddown.Step{d.step("http", time.Second)},
			Workers: []winddown.Step{d.step("outbox", time.Second)},
			Pools:   []winddown.Step{d.step("postgres", time.Second)},
		}))
		require.Equal(t, "http begins, http ends, outbox begins, outbox ends, postgres begins, postgres ends", d.String(),
			"what happened: who is closed before those who need it are done, the database's pool first, fails them at their very end")
	})
	bubble(t, "ends_those_of_one_list_side_by_side", func(t *testing.T) {
		d := newDiary()
		require.NoError(t, run(t, t.Context(), winddown.Plan{Servers: []winddown.Step{d.step("http", 2*time.Second), d.step("admin", 2*time.Second)}}))
		require.Equal(t, 2*time.Second, time.Since(d.begin), "two servers that take 2s each took so long together: those of one list do not wait for one another")
		require.Equal(t, 2*time.Second, d.when(t, "admin ends"))
		require.Equal(t, 2*time.Second, d.when(t, "http ends"))
	})
	bubble(t, "cuts_a_step_at_its_deadline", func(t *testing.T) {
		d := newDiary()
		err := run(t, t.Context(), winddown.Plan{Servers: []winddown.Step{d.step("http", time.Hour)}, Within: 5 * time.Second})
		require.Equal(t, 5*time.Second, d.when(t, "http is cut"), "a server whose last request takes an hour, with Within of 5s: the context of its Step ends then")
		require.ErrorIs(t, err, context.DeadlineExceeded, "that something was cut is an error")
		require.ErrorContains(t, err, "http", "the error says what was cut")
	})
	bubble(t, "goes_on_when_a_step_fails", func(t *testing.T) {
		d := newDiary()
		broken := errors.New("broken pipe")
		err := run(t, t.Context(), winddown.Plan{
			Servers: []winddown.Step{d.fails("http", broken)},
			Workers: []winddown.Step{d.step("outbox", 0)},
			Pools:   []winddown.Step{d.step("postgres", 0)},
		})
		require.Equal(t, "http fails, outbox begins, outbox ends, postgres begins, postgres ends", d.String(), "what happened: what comes behind a failure has to be ended, too")
		require.ErrorIs(t, err, broken, "the failure is told")
	})
	bubble(t, "gives_each_list_a_deadline_of_its_own", func(t *testing.T) {
		d := newDiary()
		_ = run(t, t.Context(), winddown.Plan{
			Servers: []winddown.Step{d.step("http", time.Hour)},
			Workers: []winddown.Step{d.step("outbox", 4*time.Second)},
			Within:  5 * time.Second,
		})
		require.Contains(t, d.String(), "outbox ends", "what happened: the server used up its 5s; the worker needs 4s, and has 5s of its own, so it ends and is not cut: one deadline for all would cut it though it is not at fault")
	})
	bubble(t, "tells_of_all_that_failed", func(t *testing.T) {
		d := newDiary()
		first, second, third := errors.New("first"), errors.New("second"), errors.New("third")
		err := run(t, t.Context(), winddown.Plan{
			Servers: []winddown.Step{d.fails("http", first), d.fails("admin", second)},
			Pools:   []winddown.Step{d.fails("postgres", third)},
		})
		for name, fault := range map[string]error{"http": first, "admin": second, "postgres": third} {
			require.ErrorIs(t, err, fault, "three Steps failed: http with %q, admin with %q, postgres with %q. The error joins them all", first, second, third)
			require.ErrorContains(t, err, "winddown: "+name+": "+fault.Error(), "each with its Step's name in front, as end returns it")
		}
	})
	bubble(t, "when_its_context_ends_all_are_still_told", func(t *testing.T) {
		d := newDiary()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		err := run(t, ctx, winddown.Plan{
			NotReady: func() { d.note("not ready") }, Notice: 30 * time.Second,
			Servers: []winddown.Step{d.step("http", time.Hour)},
			Workers: []winddown.Step{d.step("outbox", time.Hour)},
			Pools:   []winddown.Step{d.fails("postgres", nil)},
		})
		require.Equal(t, time.Second, d.when(t, "http begins"), "ctx ended after 1s, in the middle of the Notice of 30s: the wait ends with ctx")
		require.Equal(t, time.Second, d.when(t, "postgres fails"), "and so does everything behind it, at once; but the pool is closed all the same, or its connections would be left to the server to find out about")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "outbox", "what was cut is told")
	})
	bubble(t, "does_not_wait_for_who_does_not_listen", func(t *testing.T) {
		d := newDiary()
		deaf := make(chan struct{})
		defer close(deaf) // the bubble ends when all in it have
		err := run(t, t.Context(), winddown.Plan{
			Servers: []winddown.Step{{Name: "deaf", Do: func(context.Context) error { <-deaf; return nil }}},
			Pools:   []winddown.Step{d.step("postgres", 0)},
			Within:  5 * time.Second,
		})
		at := d.when(t, "postgres ends")
		require.True(t, at >= 5*time.Second && at < 6*time.Second, "a Step that does not listen to its context: the pool was closed after %v, and it should have been soon after 5s, which is Within. See end", at)
		require.ErrorContains(t, err, "deaf", "that it goes on is told")
	})
	t.Run("a_request_that_runs_gets_its_answer", func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		pool := make(chan struct{}) // closed when the pool is
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			select {
			case <-pool:
				http.Error(w, "sql: database is closed", http.StatusInternalServerError)
			default:
				w.WriteHeader(http.StatusCreated)
			}
		})}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() { _ = server.Serve(ln) }() // ends by Shutdown, or by Close
		defer server.Close()
		status := make(chan int, 1)
		go func() {
			client := &http.Client{Timeout: 5 * time.Second}
			defer client.CloseIdleConnections()
			answer, err := client.Post("http://"+ln.Addr().String()+"/orders", "application/json", nil)
			if err != nil {
				status <- 0
				return
			}
			answer.Body.Close()
			status <- answer.StatusCode
		}()
		<-entered
		ended := make(chan error, 1)
		shutting := make(chan struct{})
		go func() {
			ended <- winddown.Run(context.Background(), winddown.Plan{
				Servers: []winddown.Step{{Name: "http", Do: func(ctx context.Context) error { close(shutting); return server.Shutdown(ctx) }}},
				Pools:   []winddown.Step{{Name: "postgres", Do: func(context.Context) error { close(pool); return nil }}},
			})
		}()
		select {
		case <-shutting:
		case <-time.After(2 * time.Second):
			close(leave)
			require.Fail(t, "the server was never told to end", "Run calls the Do of all Servers")
		}
		close(leave)
		require.Equal(t, http.StatusCreated, <-status, "the status of an order that was running when the process was told to end (0 is a cut connection, 500 a pool that was closed too early)")
		require.NoError(t, <-ended)
	})
}

// The zero Plan has nothing to end.
//
//workshop:guard TestZero/...
func TestZero(t *testing.T) {
	t.Run("ends_nothing", func(t *testing.T) { assert.NoError(t, winddown.Run(t.Context(), winddown.Plan{})) })
}
