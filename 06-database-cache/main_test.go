package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
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
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/replica"
	"clicktocode.example/06-database-cache/stacktest"
)

// load is how long customers click in TestDoubleClick: go test -run DoubleClick -load 10s
var load = flag.Duration("load", time.Second, "how long customers click in TestDoubleClick")

// kills is how often each is killed in TestKill.
var kills = flag.Int("kills", 1, "how often each is killed in TestKill")

// few is how many mochi there are; of all else, there is plenty.
const few = 50

// TestMain is the stack's main for those roles that a test runs as processes.
func TestMain(m *testing.M) {
	if os.Getenv(stacktest.Child) != "" {
		stage.Main(stack(around(), unlimited))
	}
	goleak.VerifyTestMain(m)
}

// unlimited lets customers click as often as they like.
var unlimited = kitchen.Config{RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1}, Interval: 500 * time.Millisecond}

func around() *replica.Surroundings {
	return replica.Look(replica.Config{Stock: start(), Postgres: backing.PostgresConfig{DataDir: os.Getenv("STACK_DATA")}})
}

func start() map[string]int {
	_, stock := kitchen.Menu()
	for dish := range stock {
		stock[dish] = 1_000_000
	}
	stock["mochi"] = few
	return stock
}

// newStack is a stack that does not run yet, on a database with nothing in it.
func newStack(t *testing.T) *stacktest.Stack {
	t.Helper()
	stacktest.Isolate(t, []string{"DNS", "BALANCER", "EDGE1", "EDGE2", "EDGE1_ADMIN", "EDGE2_ADMIN", "A", "B", "C", "PAYMENTS", "MAIL", "MEMCACHED", "POSTGRES"}, settings...)
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
	return stacktest.New(t, d, run)
}

var settings = []string{"TRUSTED_PROXIES", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "SENDGRID_API_KEY", "MAIL_TO", "MAIL_FROM", "PICKER", "GIN_MODE", "DATABASE_URL", "MEMCACHED_SERVERS"}

// click has customers click, again and again, until ctx is done and what they have asked
// for is answered.
func click(ctx context.Context, s *stacktest.Stack, customers int, total *stacktest.Tally) {
	dishes := []string{"ramen", "gyoza", "tofu", "tea", "udon", "soba", "curry", "edamame", "miso", "mochi"}
	var running sync.WaitGroup
	for i := range customers {
		c := s.Customer(fmt.Sprintf("guest-%d", i), i)
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c.DoubleClick(total, fmt.Sprintf("click-%d", n), order.Item{Dish: dishes[(i+n)%len(dishes)], Quantity: 1 + n%2}, *load+stacktest.Patience)
			}
		})
	}
	running.Wait()
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
	var total stacktest.Tally
	ctx, stop := context.WithTimeout(t.Context(), *load)
	defer stop()
	began := time.Now()
	click(ctx, s, customers, &total)
	took := time.Since(began)
	require.Empty(t, total.Faults, "what a customer must not see")
	require.NotEmpty(t, total.Orders)
	s.Audit(&total, start())

	t.Logf("%d customers, %v: %d double clicks, %d orders (%.0f/s), %d sold out; %d requests (%.0f/s), of them %d met the other click under way, %d asked again after a fault, %d were pending at first; from the click to the order: median %v, p99 %v",
		customers, took.Round(time.Millisecond), total.Clicks, len(total.Orders), float64(len(total.Orders))/took.Seconds(), total.SoldOut,
		total.Requests.Load(), float64(total.Requests.Load())/took.Seconds(), total.UnderWay.Load(), total.Again.Load(), len(total.Pending), total.Quantile(.5), total.Quantile(.99))
}

// A replica is killed, then memcached, then PostgreSQL, while customers click. No order
// is lost that somebody was told of, and whoever insists gets a dinner.
func TestKill(t *testing.T) {
	s := newStack(t)
	mortal := []string{"a", "b", "c", "memcached", "postgres"}
	processes := map[string]*stacktest.Process{}
	spawn := func(names ...string) {
		var ready []<-chan struct{}
		for _, name := range names {
			p, is := s.Spawn(name)
			processes[name], ready = p, append(ready, is)
		}
		s.Wait(ready...)
	}
	spawn(mortal...)
	s.Start(mortal...)

	var total stacktest.Tally
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { click(ctx, s, 8, &total) })
	more := func(when string) {
		t.Helper()
		before := total.Told()
		require.Eventually(t, func() bool { return total.Told() >= before+20 }, stacktest.Patience, 5*time.Millisecond, when)
	}
	more("when all is well")

	menu := "http://" + os.Getenv("A_ADDR") + "/menu"
	mallory := s.Customer("mallory", 99)
	for range *kills {
		processes["b"].Kill()
		more("with b killed")
		spawn("b")

		s.Left() // and so memcached has the menu
		processes["postgres"].Kill()
		require.Eventually(t, func() bool {
			status, text, err := mallory.Place("dinner", order.Item{Dish: "ramen", Quantity: 1}, "pm_card_chargeDeclined")
			var said struct{ Type, Detail string }
			return err == nil && status == http.StatusServiceUnavailable && json.Unmarshal(text, &said) == nil && said.Detail != ""
		}, stacktest.Patience, 5*time.Millisecond, "without PostgreSQL, an order is 503")
		require.Eventually(t, func() bool { // a may believe for a moment that memcached is still away, and numbers are a second old
			status, text, err := s.Ask(menu, "")
			return err == nil && status == http.StatusOK && !bytes.Contains(text, []byte(`"left"`))
		}, stacktest.Patience, 20*time.Millisecond, "without PostgreSQL, memcached has the menu, and nobody knows how much is left")
		status, _, err := s.Ask("http://"+os.Getenv("A_ADDR")+"/healthz", "")
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status, "a replica stays, though PostgreSQL is away")
		spawn("postgres")
		more("with PostgreSQL back")

		processes["memcached"].Kill()
		more("with memcached killed")
		s.Left()
		spawn("memcached")
		require.Eventually(t, func() bool {
			status, _, err := s.Ask(menu, "")
			return err == nil && status == http.StatusOK && cachedMenu(os.Getenv("MEMCACHED_ADDR"))
		}, stacktest.Patience, 20*time.Millisecond, "memcached is back, and used again")
	}

	stop()
	running.Wait()
	require.Empty(t, total.Faults, "what a customer must not see")
	s.Audit(&total, start())
	t.Logf("%d orders; %d requests, of them %d asked again after a fault, %d were pending at first", len(total.Orders), total.Requests.Load(), total.Again.Load(), len(total.Pending))
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
	fresh := func(t *testing.T) { stacktest.Isolate(t, []string{"DNS", "A"}, settings...) }

	t.Run("a_database_that_is_named_is_used_and_not_shown", func(t *testing.T) {
		fresh(t)
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
		fresh(t)
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
