package winddown_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
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
		require.Fail(t, "Run has not returned within a minute", "each list of Steps has a deadline, Plan.Within. %s", hint)
		return nil
	}
}

// hint is what to think about when Run does not return.
const hint = "Who locks unlocks, on every way out, and does not lock what is locked already. What is sent into a channel is received, or has room. What is waited for, ends"

// patience is how long Run may take, by a clock that nobody holds. Once it has not
// returned, the others are not waited for as long.
var patience = 3 * time.Second

// bubble runs f where time is at its command (testing/synctest). A lock that is not
// given back would hang a bubble for ever, so a clock outside watches.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		ended := make(chan string, 1)
		go func() {
			fault := ""
			defer func() { ended <- fault }() // also where f failed, and this goroutine with it
			fault = panics.In(func() { synctest.Test(t, f) })
		}()
		if fault := receive(t, ended, "Run waits, and time has passed"); fault != "" {
			require.FailNow(t, "Run, or a goroutine that it has started, waits for something that never comes", "%s. %s", hint, fault)
		}
	})
}

// receive is what comes out of done, which must not be long.
func receive[T any](t *testing.T, done <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-done:
	case <-time.After(patience):
		patience = 300 * time.Millisecond
		require.FailNow(t, "Run does not return", "%s. %s", what, hint)
	}
	return v
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
		http, admin := d.when(t, "http ends"), d.when(t, "admin ends")
		require.Equal(t, 2*time.Second, max(http, admin), "two servers in one list that take 2s each were both ended after so long: those of one list do not wait for one another")
	})
	for _, test := range []struct {
		name        string
		http, admin time.Duration
	}{
		{"a_list_waits_for_the_last_one_of_that_before", time.Second, 3 * time.Second},
		{"a_list_waits_for_the_first_one_of_that_before", 3 * time.Second, time.Second},
	} {
		bubble(t, test.name, func(t *testing.T) {
			d := newDiary()
			require.NoError(t, run(t, t.Context(), winddown.Plan{
				Servers: []winddown.Step{d.step("http", test.http), d.step("admin", test.admin)},
				Pools:   []winddown.Step{d.step("postgres", 0)},
			}))
			require.Equal(t, 3*time.Second, d.when(t, "postgres begins"), "the pool was told to end so long after the beginning, and the servers before it, http and admin, take %v and %v. The next list begins once all Steps of this one have returned", test.http, test.admin)
		})
	}
	bubble(t, "waits_for_the_notice_also_without_servers", func(t *testing.T) {
		d := newDiary()
		require.NoError(t, run(t, t.Context(), winddown.Plan{NotReady: func() { d.note("not ready") }, Notice: 3 * time.Second, Workers: []winddown.Step{d.step("outbox", 0)}}))
		require.Zero(t, d.when(t, "not ready"), "NotReady is called at once, whatever else the Plan holds")
		require.Equal(t, 3*time.Second, d.when(t, "outbox begins"), "a Plan with a Notice of 3s, a worker, and no Servers, because somebody else ends those: the worker was told to end so long after the beginning. Run waits for Notice whatever else the Plan holds")
	})
	bubble(t, "cuts_a_step_at_its_deadline", func(t *testing.T) {
		d := newDiary()
		err := run(t, t.Context(), winddown.Plan{Servers: []winddown.Step{d.step("http", time.Hour)}, Within: 7 * time.Second})
		require.Equal(t, 7*time.Second, d.when(t, "http is cut"), "a server whose last request takes an hour, with Within of 7s: the context of its Step ends then")
		require.ErrorIs(t, err, context.DeadlineExceeded, "that something was cut is an error")
		require.ErrorContains(t, err, "http", "the error says what was cut")
	})
	bubble(t, "the_notice_is_not_within", func(t *testing.T) {
		d := newDiary()
		require.NoError(t, run(t, t.Context(), winddown.Plan{Notice: 8 * time.Second, Within: 2 * time.Second, Servers: []winddown.Step{d.step("http", 0)}}))
		require.Equal(t, 8*time.Second, d.when(t, "http begins"), "the server was told to end so long after the beginning, with a Notice of 8s and Within of 2s: Within bounds the lists, and not the Notice")
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
	bubble(t, "a_failure_does_not_cut_its_neighbours", func(t *testing.T) {
		d := newDiary()
		broken := errors.New("broken pipe")
		err := run(t, t.Context(), winddown.Plan{Servers: []winddown.Step{d.fails("admin", broken), d.step("http", 2*time.Second)}})
		require.ErrorIs(t, err, broken, "admin has failed at once")
		require.Contains(t, d.String(), "http ends", "what happened: admin has failed at once, and http, beside it in the same list, has requests that run for 2s more, and Within of 5s for them. One Step's failure does not end the others' context")
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
	bubble(t, "cuts_each_list_at_its_deadline", func(t *testing.T) {
		d := newDiary()
		_ = run(t, t.Context(), winddown.Plan{
			Servers: []winddown.Step{d.step("http", time.Hour)},
			Workers: []winddown.Step{d.step("outbox", time.Hour)},
			Pools:   []winddown.Step{d.step("postgres", time.Hour)},
			Within:  2 * time.Second,
		})
		for i, line := range []string{"http is cut", "outbox is cut", "postgres is cut"} {
			require.Equal(t, time.Duration(i+1)*2*time.Second, d.when(t, line), "%s so long after the beginning. A server, a worker and a pool each take an hour, with Within of 2s: each list has 2s, one after the other, the pools, too", line)
		}
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
		require.ErrorIs(t, err, context.DeadlineExceeded, "that something was cut is an error")
		require.ErrorContains(t, err, "outbox", "what was cut is told")
	})
	bubble(t, "when_its_context_ends_pools_are_cut_too", func(t *testing.T) {
		d := newDiary()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_ = run(t, ctx, winddown.Plan{Pools: []winddown.Step{d.step("postgres", time.Hour)}, Within: 5 * time.Second})
		require.Equal(t, time.Second, d.when(t, "postgres is cut"), "a pool that takes an hour to close, and ctx ended after 1s: the context of its Step is made of ctx, and ends with it. Who sent the signal kills the process soon")
	})
	bubble(t, "when_its_context_has_ended_before_all_are_still_told", func(t *testing.T) {
		d := newDiary()
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_ = run(t, ctx, winddown.Plan{
			NotReady: func() { d.note("not ready") }, Notice: 30 * time.Second,
			Servers: []winddown.Step{d.fails("http", nil)},
			Workers: []winddown.Step{d.fails("outbox", nil)},
			Pools:   []winddown.Step{d.fails("postgres", nil)},
		})
		require.Equal(t, "not ready, http fails, outbox fails, postgres fails", d.String(), "what happened in a Run whose ctx had ended before (\"fails\" is a Step that returns at once): there is no time left, but nothing is left out")
	})
	bubble(t, "a_context_that_ended_is_no_fault_of_its_own", func(t *testing.T) {
		d := newDiary()
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err := run(t, ctx, winddown.Plan{Notice: 30 * time.Second, Servers: []winddown.Step{d.fails("http", nil)}})
		d.when(t, "http fails")
		require.NoError(t, err, "a Run whose ctx had ended before, and whose only Step returned nil at once: the error joins those of the Steps, and no other")
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
	bubble(t, "leaves_no_context_behind", func(t *testing.T) {
		given := make(chan context.Context, 3) // one list after the other, one Step in each
		var (
			mu     sync.Mutex
			before context.Context
		)
		early := errors.New("too early")
		keep := func(name string) []winddown.Step {
			return []winddown.Step{{Name: name, Do: func(ctx context.Context) error {
				given <- ctx
				mu.Lock()
				defer mu.Unlock()
				if before != nil && before.Err() == nil {
					return early
				}
				before = ctx
				return nil
			}}}
		}
		err := run(t, t.Context(), winddown.Plan{Servers: keep("http"), Workers: keep("outbox"), Pools: keep("postgres")})
		require.Len(t, given, 3, "Steps that were called, of a server, a worker and a pool")
		require.NotErrorIs(t, err, early, "a list has begun, and the context of the one before it, whose Steps have all returned, has not ended: whatever they have left running goes on beside the pools' end. A defer waits for the end of Run, and not of one list: call the cancel function behind Wait")
		require.NoError(t, err, "three Steps that return nil")
		for range 3 {
			require.Error(t, (<-given).Err(), "the context of a list, after Run has returned: it has not ended. Who makes one by context.WithTimeout calls its cancel function, or its timer runs on, and whatever hangs on it")
		}
	})
	t.Run("loses_no_error_of_many_at_once", func(t *testing.T) {
		const many = 500
		for range 20 { // two that meet in one word of memory are rare
			var begun atomic.Int32
			all := make(chan struct{}) // closed when all have begun, so that they return together
			open := sync.OnceFunc(func() { close(all) })
			late := time.AfterFunc(time.Second, open) // or else: one after the other?
			steps := make([]winddown.Step, many)
			for i := range steps {
				steps[i] = winddown.Step{Name: fmt.Sprint("job", i), Do: func(context.Context) error {
					if begun.Add(1) == many {
						open()
					}
					<-all
					return errors.New("broken pipe")
				}}
			}
			done := make(chan error, 1)
			go func() { done <- winddown.Run(t.Context(), winddown.Plan{Workers: steps}) }()
			err := receive(t, done, fmt.Sprintf("%d Steps of one list have failed at the same moment, and returned", many))
			met := late.Stop()
			require.Error(t, err, "%d Steps have failed", many)
			told := 0
			require.NotPanics(t, func() { told = strings.Count(err.Error(), "broken pipe") }, "the error of %d Steps of one list, which have failed at the same moment, cannot be read: two goroutines have written to one place", many)
			require.Equal(t, many, told, "%d Steps of one list have failed at the same moment, and the error tells of so many. Goroutines that append to one slice overwrite each other's: give each a place of its own, or a lock. go test -race shows where", many)
			if !met {
				break // a second of this is enough
			}
		}
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
		require.NoError(t, receive(t, ended, "the server's requests were answered, and the pool was told to end"))
	})
}

// The zero Plan has nothing to end.
//
//workshop:guard TestZero/...
func TestZero(t *testing.T) {
	t.Run("ends_nothing", func(t *testing.T) { assert.NoError(t, winddown.Run(t.Context(), winddown.Plan{})) })
}
