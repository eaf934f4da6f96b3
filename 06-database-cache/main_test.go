package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/05-business-logic/order"
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/05-business-logic/stacktest"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/replica"
)

// load is how long customers click in TestDoubleClick: go test -run DoubleClick -load 10s
var load = flag.Duration("load", time.Second, "how long customers click in TestDoubleClick")

// kills is how often each is killed in TestKill.
var kills = flag.Int("kills", 1, "how often each is killed in TestKill")

// child is the variable by which this test's binary knows that it is to be a role.
const child = "STACK_CHILD"

// TestMain is the stack's main for those roles that a test runs as processes.
func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		stage.Main(stack(around(), unlimited))
	}
	goleak.VerifyTestMain(m)
}

// unlimited lets customers click as often as they like.
var unlimited = kitchen.Config{RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1}, Interval: 500 * time.Millisecond}

func around() *replica.Surroundings {
	return replica.Look(replica.Config{Stock: stacktest.Stock(), Postgres: backing.PostgresConfig{DataDir: os.Getenv("STACK_DATA")}})
}

// newStack is a stack that does not run yet, on a database with nothing in it.
func newStack(t *testing.T) *stacktest.Stack {
	t.Helper()
	isolate(t, "DNS", "BALANCER", "EDGE1", "EDGE2", "EDGE1_ADMIN", "EDGE2_ADMIN", "A", "B", "C", "PAYMENTS", "MAIL", "MEMCACHED", "POSTGRES")
	data, err := os.MkdirTemp("", "stack-") // t.TempDir is not for postgres to enter, whom root's server runs as
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(data)) })
	t.Setenv("STACK_DATA", data)
	where := around()
	if errors.Is(where.Missing, backing.ErrNoPostgres) && os.Getenv("CI") == "" {
		t.Skipf("not checked: this test needs PostgreSQL's server. To install it: %s", backing.InstallPostgres())
	}
	require.NoError(t, where.Missing)
	d, run := stack(where, unlimited)
	s := stacktest.New(t, d, run)
	s.MenuAge = 2 * time.Second // of what is left of each dish, a replica may say what it was a second ago
	return s
}

// isolate gives t surroundings of its own, with no setting but the addresses of names.
func isolate(t *testing.T, names ...string) {
	stacktest.Isolate(t, names...)
	t.Setenv("DATABASE_URL", "")
	t.Setenv("MEMCACHED_SERVERS", "")
}

// Two clicks on "Buy now" at once, which three replicas share between them, are one
// order and one payment.
func TestDoubleClick(t *testing.T) {
	s := newStack(t)
	s.Start()
	customers := 30
	if raceEnabled {
		customers = 8 // each request takes ten times as long
	}
	t.Log(s.DoubleClick(customers, *load))
}

// A replica is killed, then memcached, then PostgreSQL, while customers click. No order
// is lost that somebody was told of, and whoever insists gets a dinner.
func TestKill(t *testing.T) {
	s := newStack(t)
	mortal := []string{"a", "b", "c", "memcached", "postgres"}
	self, err := os.Executable()
	require.NoError(t, err)
	processes := &stacktest.Processes{Program: self, Env: append(os.Environ(), child+"=1", "GORACE=atexit_sleep_ms=0")}
	t.Cleanup(func() { assert.NoError(t, processes.Close()) })
	require.NoError(t, processes.Start(mortal...))
	s.Start(mortal...)

	var told stacktest.Tally
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { s.Click(ctx, 8, *load+stacktest.Patience, &told) })
	more := func(when string) {
		t.Helper()
		before := told.Told()
		require.Eventually(t, func() bool { return told.Told() >= before+20 }, stacktest.Patience, 5*time.Millisecond, when)
	}
	more("when all is well")

	a, mallory := s.At("A", ""), s.Customer("mallory", 99)
	for range *kills {
		require.NoError(t, processes.Kill("b"))
		more("with b killed")
		require.NoError(t, processes.Start("b"))

		s.Left() // and so memcached has the menu
		require.NoError(t, processes.Kill("postgres"))
		require.Eventually(t, func() bool {
			status, text, err := mallory.Place("dinner", order.Item{Dish: "ramen", Quantity: 1}, "pm_card_chargeDeclined")
			var said struct{ Type, Detail string }
			return err == nil && status == http.StatusServiceUnavailable && json.Unmarshal(text, &said) == nil && said.Detail != ""
		}, stacktest.Patience, 5*time.Millisecond, "without PostgreSQL, an order is 503")
		require.Eventually(t, func() bool { // a may believe for a moment that memcached is still away, and numbers are a second old
			status, text, err := a.Ask("GET", "/menu", nil)
			return err == nil && status == http.StatusOK && !bytes.Contains(text, []byte(`"left"`))
		}, stacktest.Patience, 20*time.Millisecond, "without PostgreSQL, memcached has the menu, and nobody knows how much is left")
		status, _, err := a.Ask("GET", "/healthz", nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status, "a replica stays, though PostgreSQL is away")
		require.NoError(t, processes.Start("postgres"))
		more("with PostgreSQL back")

		require.NoError(t, processes.Kill("memcached"))
		more("with memcached killed")
		s.Left()
		require.NoError(t, processes.Start("memcached"))
		require.Eventually(t, func() bool {
			status, _, err := a.Ask("GET", "/menu", nil)
			return err == nil && status == http.StatusOK && cachedMenu(os.Getenv("MEMCACHED_ADDR"))
		}, stacktest.Patience, 20*time.Millisecond, "memcached is back, and used again")
	}

	stop()
	running.Wait()
	require.Empty(t, told.Faults, "what a customer must not see")
	s.Audit(&told)
	t.Logf("%d orders; %d requests, of them %d asked again after a fault, %d were pending at first", len(told.Orders), told.Requests.Load(), told.Again.Load(), told.Accepted.Load())
}

// cachedMenu reports whether the memcached at addr has the menu.
func cachedMenu(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(conn, "get v1:menu\r\n")
	text := make([]byte, 5)
	_, err = io.ReadFull(conn, text)
	return err == nil && string(text) == "VALUE"
}

func TestEnvironment(t *testing.T) {
	names := func(d stage.Description) (all string) {
		for _, r := range d.Roles {
			all += r.Name + " "
		}
		return strings.TrimSpace(all)
	}

	t.Run("a_database_that_is_named_is_used_and_not_shown", func(t *testing.T) {
		isolate(t, "DNS", "A")
		t.Setenv("DATABASE_URL", "postgres://cook:hidden@db.example/orders")
		t.Setenv("MEMCACHED_SERVERS", "192.0.2.1:11211, 192.0.2.2:11211")
		where := replica.Look(replica.Config{})
		d, _ := stack(where, kitchen.Config{})
		assert.Equal(t, "dns balancer edge1 edge2 a b c payments mail", names(d))
		assert.Equal(t, []string{"192.0.2.1:11211", "192.0.2.2:11211"}, where.Config.Memcached.Servers)
		text, err := json.Marshal(d)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "hidden")
	})
	t.Run("one_that_does_not_let_us_in_is_told", func(t *testing.T) {
		s := newStack(t)
		s.Start("a", "b", "c", "dns", "edge1", "edge2", "balancer", "payments", "mail")
		var out, said strings.Builder
		code, asked := around().Command([]string{"-database"}, &out, &said)
		require.True(t, asked)
		require.Zero(t, code, said.String())
		right := strings.TrimSpace(out.String())
		db, err := sqlx.Connect("postgres", right)
		require.NoError(t, err, "what -database prints is where it is")
		require.NoError(t, db.Close())
		t.Setenv("DATABASE_URL", strings.Replace(right, "//postgres:", "//postgres:no", 1))
		_, run := stack(replica.Look(replica.Config{}), kitchen.Config{})
		began := time.Now()
		err = run["a"](t.Context(), &stage.Stage{Name: "a", Log: slog.New(slog.DiscardHandler), Emit: func(stage.Event) {}})
		require.ErrorContains(t, err, "password")
		assert.NotContains(t, err.Error(), right)
		assert.Less(t, time.Since(began), 5*time.Second, "waiting would be no use")
	})
	t.Run("without_PostgreSQL_it_is_chapter_5_and_says_so", func(t *testing.T) {
		isolate(t, "DNS", "A")
		d, run := stack(&replica.Surroundings{Missing: backing.ErrNoPostgres}, kitchen.Config{})
		assert.Equal(t, "dns balancer edge1 edge2 a payments mail", names(d))
		assert.Contains(t, d.Title, "without a database")
		assert.Equal(t, backing.InstallPostgres(), d.Try[0].Command)
		ctx, stop := context.WithCancel(t.Context())
		ready := false
		err := run["a"](ctx, &stage.Stage{Name: "a", Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) {
			if e.Event == stage.Ready {
				ready = true
			}
			stop()
		}})
		require.NoError(t, err)
		assert.True(t, ready)
	})
}
