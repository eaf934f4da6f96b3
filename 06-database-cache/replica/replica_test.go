package replica_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/05-business-logic/order"
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/05-business-logic/sendgrid"
	"clicktocode.example/05-business-logic/stripe"
	till "clicktocode.example/05-business-logic/stripe/standin"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/mctest"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/replica"
	"clicktocode.example/06-database-cache/solution/dbpool"
	"clicktocode.example/06-database-cache/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// services are a PostgreSQL and a memcached, each behind a proxy, and a Config for them.
type services struct {
	replica.Config
	postgres, memcached *mctest.Proxy
	log                 *lines
}

func newServices(t *testing.T) *services {
	t.Helper()
	u, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	s := &services{postgres: mctest.NewProxy(t, u.Host), memcached: mctest.NewProxy(t, mctest.Open(t, backing.MemcachedConfig{Embedded: true})), log: new(lines)}
	u.Host = s.postgres.Addr
	s.Postgres.URL, s.Memcached.Servers = u.String(), []string{s.memcached.Addr}
	s.Log = slog.New(slog.NewTextHandler(s.log, nil))
	return s
}

// lines is a log that may be read meanwhile.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func TestOpen(t *testing.T) {
	t.Run("three_at_once_write_the_menu_once", func(t *testing.T) {
		s := newServices(t)
		s.Stock = map[string]int{"tea": 7}
		var all sync.WaitGroup
		pantries, errs := make([]*replica.Pantry, 3), make([]error, 3)
		for i := range pantries {
			all.Go(func() { pantries[i], errs[i] = replica.Open(t.Context(), s.Config) })
		}
		all.Wait()
		require.Equal(t, make([]error, 3), errs)
		menu, _ := kitchen.Menu()
		for _, p := range pantries {
			dishes, err := p.Store.Dishes(t.Context())
			require.NoError(t, err)
			assert.Equal(t, menu, dishes)
			left, err := p.Store.Left(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 7, left["tea"])
			require.NoError(t, p.Close())
		}
	})
	t.Run("leaves_what_is_left_in_stock", func(t *testing.T) {
		s := newServices(t)
		for want := 500; want > 498; want-- {
			p, err := replica.Open(t.Context(), s.Config)
			require.NoError(t, err)
			left, err := p.Store.Left(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, left["tea"], "the restaurant does not open anew each time a replica starts")
			require.NoError(t, p.Store.Reserve(t.Context(), fmt.Sprint("order-", want), []order.Item{{Dish: "tea", Quantity: 1}}))
			require.NoError(t, p.Close())
		}
	})
	t.Run("waits_for_a_PostgreSQL_that_starts_and_says_so_once", func(t *testing.T) {
		s := newServices(t)
		s.postgres.Cut()
		back := time.AfterFunc(1200*time.Millisecond, s.postgres.Pass)
		defer back.Stop()
		p, err := replica.Open(t.Context(), s.Config)
		require.NoError(t, err)
		require.NoError(t, p.Close())
		assert.Equal(t, 1, s.log.count("waiting for PostgreSQL"))
		assert.Equal(t, 1, s.log.count("PostgreSQL is there"))
	})
	t.Run("waits_for_one_that_the_role_has_not_made_yet", func(t *testing.T) {
		began := time.Now()
		_, err := replica.Open(t.Context(), replica.Config{
			Postgres: backing.PostgresConfig{Addr: "127.0.0.1:1", DataDir: filepath.Join(t.TempDir(), "postgres")}, Memcached: backing.MemcachedConfig{Addr: "127.0.0.1:1"},
			Patience: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		})
		require.ErrorContains(t, err, "neither there nor starting")
		require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond)
	})
	t.Run("gives_up", func(t *testing.T) {
		s := newServices(t)
		s.postgres.Cut()
		s.Patience = 200 * time.Millisecond
		_, err := replica.Open(t.Context(), s.Config)
		require.ErrorContains(t, err, "neither there nor starting")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = replica.Open(ctx, s.Config)
		require.Error(t, err)
	})
	t.Run("does_not_wait_for_one_that_lets_nobody_in", func(t *testing.T) {
		s := newServices(t)
		u, err := url.Parse(s.Postgres.URL)
		require.NoError(t, err)
		u.User = url.UserPassword(u.User.Username(), "mistyped")
		s.Postgres.URL = u.String()
		began := time.Now()
		_, err = replica.Open(t.Context(), s.Config)
		require.ErrorContains(t, err, "password")
		assert.NotContains(t, err.Error(), "mistyped")
		assert.Less(t, time.Since(began), 5*time.Second)
	})
	t.Run("does_not_need_memcached", func(t *testing.T) {
		s := newServices(t)
		s.memcached.Cut()
		var faults atomic.Int64
		s.Cache.Fault = func(string, error) { faults.Add(1) }
		p, err := replica.Open(t.Context(), s.Config)
		require.NoError(t, err)
		dishes, err := p.Cache.Menu().Dishes(t.Context())
		require.NoError(t, err)
		assert.NotEmpty(t, dishes)
		for range 20 {
			_, err := p.Cache.Views().Get(t.Context(), "nobody's")
			require.ErrorIs(t, err, order.ErrNotFound)
		}
		assert.Equal(t, 1, s.log.count("memcached does not answer"), "one line in a while, also where who counts faults is told of them")
		assert.Greater(t, faults.Load(), int64(1), "and that one of each")
		require.NoError(t, p.Close())
	})
	t.Run("has_hooks", func(t *testing.T) {
		s := newServices(t)
		var opened, asked, paid atomic.Int64
		s.Pool.OpenDB = func(c driver.Connector) *sql.DB { opened.Add(1); return sql.OpenDB(c) }
		s.Wrap = func(c kv.Cache) kv.Cache { return counted{c, &asked} }
		s.Store = store.Config{Paid: func(context.Context, *sqlx.Tx, order.Order) error { paid.Add(1); return nil }}
		p, err := replica.Open(t.Context(), s.Config)
		require.NoError(t, err)
		defer p.Close()
		_, err = p.Cache.Menu().Dishes(t.Context())
		require.NoError(t, err)
		euro := order.Money{Amount: 450, Currency: "EUR"}
		require.NoError(t, p.Cache.Orders().Create(t.Context(), order.Order{
			ID: "one", Customer: "ada", State: order.Paid, Version: 1, Method: "card", Created: time.Now(), Updated: time.Now(),
			Lines:  []order.Line{{Dish: "tea", Name: "Tea", Quantity: 1, Unit: euro, Total: euro}},
			Totals: order.Totals{Subtotal: euro, Discount: order.Money{Currency: "EUR"}, Tax: order.Money{Currency: "EUR"}, Total: euro},
		}))
		assert.EqualValues(t, 1, opened.Load(), "the pool is OpenDB's")
		assert.NotZero(t, asked.Load(), "memcached is asked by way of Wrap's")
		assert.EqualValues(t, 1, paid.Load(), "an order became Paid")
	})
	t.Run("leaves_nothing_behind_when_it_fails", func(t *testing.T) {
		s := newServices(t)
		s.Store.Wait, s.Client.MaxIdle = -1, -1
		_, err := replica.Open(t.Context(), s.Config)
		require.ErrorContains(t, err, "Wait")
		require.ErrorContains(t, err, "MaxIdle")
	})
}

// counted counts calls.
type counted struct {
	kv.Cache
	n *atomic.Int64
}

func (c counted) Get(key string) (*memcache.Item, error) {
	c.n.Add(1)
	return c.Cache.Get(key)
}

// One after the other is away, and comes back; the replica stays.
func TestAway(t *testing.T) {
	s := newServices(t)
	at := serve(t, s)
	status, text := at.order(t, "before")
	require.Equal(t, http.StatusCreated, status, "%s", text)
	var first struct{ ID string }
	require.NoError(t, json.Unmarshal(text, &first))
	status, _ = at.get(t, "/orders/"+first.ID)
	require.Equal(t, http.StatusOK, status, "and memcached has it now")
	status, text = at.get(t, "/menu")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(text), `"left":499`)

	s.postgres.Cut()
	status, text = at.order(t, "meanwhile")
	assert.Equal(t, http.StatusServiceUnavailable, status, "without PostgreSQL, there is no order")
	assert.Contains(t, string(text), "https://shop.test/problems/unavailable")
	assert.NotContains(t, string(text), "dial", "what is wrong inside is nobody's business")
	status, _ = at.get(t, "/orders")
	assert.Equal(t, http.StatusServiceUnavailable, status, "a list is not cached")
	at.left(t, "", "the menu is, and how much is left, nobody knows")
	status, _ = at.get(t, "/orders/"+first.ID)
	assert.Equal(t, http.StatusOK, status, "and so is an order that somebody has looked at")
	status, _ = at.get(t, "/healthz")
	assert.Equal(t, http.StatusOK, status)

	s.postgres.Pass()
	status, text = at.order(t, "meanwhile")
	require.Equal(t, http.StatusCreated, status, "PostgreSQL is back: %s", text)

	s.memcached.Cut()
	status, text = at.order(t, "cold")
	require.Equal(t, http.StatusCreated, status, "orders do not need memcached: %s", text)
	at.left(t, `"left":497`, "the menu is from PostgreSQL")
	s.memcached.Pass()
	status, _ = at.get(t, "/menu")
	assert.Equal(t, http.StatusOK, status)
}

// What it leaves behind when it fails, TestMain would find.
func TestNew(t *testing.T) {
	s := newServices(t)
	_, err := replica.New(t.Context(), s.Config, kitchen.Config{})
	require.ErrorContains(t, err, "stripe: Key")
}

// served is a replica that is asked.
type served struct {
	*httptest.Server
	token string
}

func serve(t *testing.T, s *services) *served {
	t.Helper()
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	key, err := issuer.Open("")
	require.NoError(t, err)
	token, err := key.Sign("ada", []string{"orders:read", "orders:write"}, time.Hour)
	require.NoError(t, err)
	payments, err := till.New(till.Config{})
	require.NoError(t, err)
	stripeAPI := httptest.NewServer(payments)
	r, err := replica.New(t.Context(), s.Config, kitchen.Config{
		Key:    key,
		Stripe: stripe.Config{Key: kitchen.StripeKey, URL: stripeAPI.URL},
		Mail:   sendgrid.Config{Key: kitchen.SendGridKey, Host: "http://127.0.0.1:1", From: "orders@shop.test"}, // which is nobody
		Outbox: true, Interval: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	at := &served{httptest.NewServer(r), token}
	t.Cleanup(func() {
		at.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		assert.NoError(t, r.Close(ctx))
		assert.Error(t, r.Pantry().DB.Ping(), "the pool is closed")
		payments.Close()
		stripeAPI.CloseClientConnections()
		stripeAPI.Close()
	})
	return at
}

func (s *served) do(t *testing.T, req *http.Request) (int, []byte) {
	t.Helper()
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, text
}

func (s *served) get(t *testing.T, path string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+path, nil)
	require.NoError(t, err)
	return s.do(t, req)
}

// left waits until the menu, which is there at any time, says want of what is left: its
// numbers are a second old. An empty want is that there are none.
func (s *served) left(t *testing.T, want, why string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		status, text := s.get(t, "/menu")
		require.Equal(t, http.StatusOK, status, why)
		if want != "" && strings.Contains(string(text), want) || want == "" && !strings.Contains(string(text), `"left"`) {
			return
		}
		require.Less(t, time.Since(began), 10*time.Second, "%s: wanted %q: %s", why, want, text)
	}
}

func (s *served) order(t *testing.T, key string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/orders", strings.NewReader(`{"lines": [{"dish": "tea", "quantity": 1}]}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	return s.do(t, req)
}

func TestRoles(t *testing.T) {
	start := func(t *testing.T, name string, run stage.Run) (addr string, stop func(), ended <-chan error) {
		t.Helper()
		ctx, stop := context.WithCancel(context.Background())
		t.Cleanup(stop)
		ready, done := make(chan string, 1), make(chan error, 1)
		go func() {
			done <- run(ctx, &stage.Stage{Name: name, Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) {
				if e.Event == stage.Ready {
					ready <- e.Addr
				}
			}})
		}()
		select {
		case addr = <-ready:
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(patience):
			require.FailNow(t, "it is not ready")
		}
		return addr, stop, done
	}
	end := func(t *testing.T, ended <-chan error) error {
		t.Helper()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			require.FailNow(t, "it does not end")
			return nil
		}
	}
	free := func(t *testing.T) string {
		t.Helper()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		return ln.Addr().String()
	}

	t.Run("memcached_answers_and_ends", func(t *testing.T) {
		addr, stop, ended := start(t, "memcached", replica.Memcached(backing.MemcachedConfig{Addr: free(t)}))
		require.NoError(t, mctest.Client(t, addr).Set(&memcache.Item{Key: "a", Value: []byte("b")}))
		stop()
		require.NoError(t, end(t, ended))
	})
	t.Run("postgres_ends_after_the_replicas", func(t *testing.T) {
		pgtest.URL(t) // which skips where there is none
		data, err := os.MkdirTemp("", "replica-")
		require.NoError(t, err)
		defer os.RemoveAll(data)
		where := backing.PostgresConfig{Addr: free(t), DataDir: data, NoDownload: true}
		_, stop, ended := start(t, "postgres", replica.Postgres(where))
		p, err := replica.Open(t.Context(), replica.Config{Postgres: where, Memcached: backing.MemcachedConfig{Addr: "127.0.0.1:1"}, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		require.NoError(t, p.DB.Ping())
		url, err := where.KeptURL()
		require.NoError(t, err)
		stranger, err := dbpool.Open(url, dbpool.Config{Application: "psql"})
		require.NoError(t, err)
		defer stranger.Close()
		require.NoError(t, stranger.Ping())

		stop()
		select {
		case err := <-ended:
			require.FailNow(t, "it has ended, and a replica is connected still", "%v", err)
		case <-time.After(200 * time.Millisecond):
		}
		_, err = p.Store.Left(t.Context())
		require.NoError(t, err, "the replica can do what it has begun")
		require.NoError(t, p.Close())
		began := time.Now()
		require.NoError(t, end(t, ended))
		assert.Less(t, time.Since(began), 5*time.Second, "nobody waits for somebody's psql")
	})
	t.Run("an_address_that_cannot_be_used_is_told", func(t *testing.T) {
		err := replica.Memcached(backing.MemcachedConfig{Addr: "192.0.2.1:11211"})(t.Context(), &stage.Stage{Name: "memcached", Log: slog.New(slog.DiscardHandler), Emit: func(stage.Event) {}})
		require.ErrorContains(t, err, "MEMCACHED_ADDR")
		err = replica.Postgres(backing.PostgresConfig{Addr: "192.0.2.1:5432", DataDir: t.TempDir()})(t.Context(), &stage.Stage{Name: "postgres", Log: slog.New(slog.DiscardHandler), Emit: func(stage.Event) {}})
		require.ErrorContains(t, err, "POSTGRES_ADDR")
	})
}

func TestTry(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	t.Setenv("MEMCACHED_SERVERS", "")
	d := stage.Description{URL: "https://shop.test:9443/menu"}
	shown := func(s *replica.Surroundings) string {
		text, err := json.Marshal(s.Try(d, "06-database-cache"))
		require.NoError(t, err)
		return string(text)
	}
	there := &replica.Surroundings{}
	there.Config.Memcached.Addr = "127.0.0.1:1"
	for _, part := range []string{"https://shop.test:9443/orders", "--resolve shop.test:9443:127.0.0.1", "-database", "telnet://127.0.0.1:1", "-role postgres -events", "./06-database-cache -token"} {
		assert.Contains(t, shown(there), part)
	}
	there.Config.Postgres.URL, there.Config.Memcached.Servers = "postgres://db.example/orders", []string{"192.0.2.1:11211"}
	assert.NotContains(t, shown(there), "-role postgres", "what is not ours is not killed")
	assert.NotContains(t, shown(there), "-role memcached")
	missing := shown(&replica.Surroundings{Missing: errors.New("none")})
	assert.Contains(t, missing, "THERE IS NO POSTGRESQL")
	assert.NotContains(t, missing, " -database)")
}
