package meters_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/03-reverse-proxy/cache"
	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/cached"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/07-response-observability/meters"
	"clicktocode.example/07-response-observability/outbox"
)

// shown is what Prometheus would read of c.
func shown(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	return w.Body.String()
}

// shows asserts that c shows just these lines, and nothing that the linter minds.
func shows(t *testing.T, c prometheus.Collector, lines ...string) {
	t.Helper()
	text := shown(t, c)
	var got []string
	for line := range strings.Lines(text) {
		if line[0] != '#' {
			got = append(got, strings.TrimSpace(line))
		}
	}
	assert.ElementsMatch(t, lines, got)
	problems, err := testutil.CollectAndLint(c)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestCache(t *testing.T) {
	h, err := cache.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }), cache.Config{MaxBytes: 1 << 20})
	require.NoError(t, err)
	defer h.Close()
	for range 3 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/menu", nil))
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/orders", nil))
	require.EqualValues(t, 2, h.Stats().Hits)
	shows(t, meters.Cache(func() cache.Stats {
		s := h.Stats()
		s.Bytes, s.Stale, s.Revalidated, s.Collapsed, s.Evictions = 4096, 5, 6, 7, 8
		return s
	}),
		`cache_requests_total{result="hit"} 2`, `cache_requests_total{result="miss"} 1`, `cache_requests_total{result="bypass"} 1`,
		`cache_requests_total{result="stale"} 5`, `cache_requests_total{result="revalidated"} 6`, `cache_requests_total{result="collapsed"} 7`,
		`cache_evictions_total 8`, `cache_entries 1`, `cache_stored_bytes 4096`, `cache_limit_bytes 1.048576e+06`)
}

func TestBalancer(t *testing.T) {
	a, err := balancer.NewBackend("a", "127.0.0.1:9001", 1)
	require.NoError(t, err)
	pool, err := balancer.NewPool(a)
	require.NoError(t, err)
	c := meters.Balancer(pool)
	a.Begin()
	a.Begin()
	a.End()
	shows(t, c, `balancer_backend_state{backend="a",state="up"} 1`, `balancer_backend_state{backend="a",state="down"} 0`,
		`balancer_backend_state{backend="a",state="ejected"} 0`, `balancer_backend_state{backend="a",state="draining"} 0`,
		`balancer_backend_in_flight{backend="a"} 1`, `balancer_backend_attempts_total{backend="a"} 2`)
	a.SetEjected(true)
	shows(t, c, `balancer_backend_state{backend="a",state="up"} 0`, `balancer_backend_state{backend="a",state="down"} 0`,
		`balancer_backend_state{backend="a",state="ejected"} 1`, `balancer_backend_state{backend="a",state="draining"} 0`,
		`balancer_backend_in_flight{backend="a"} 1`, `balancer_backend_attempts_total{backend="a"} 2`)
	pool.Remove("a")
	text := shown(t, c)
	assert.Empty(t, text, "a backend that has left is not shown")
}

func TestAttempts(t *testing.T) {
	pool, err := balancer.NewPool()
	require.NoError(t, err)
	h, err := dispatch.New(dispatch.Config{Pool: pool, Picker: roundrobin.New(0), Transport: http.DefaultTransport})
	require.NoError(t, err)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	shows(t, meters.Attempts(h.Stats), `balancer_requests_total 1`, `balancer_retries_total 0`, `balancer_failed_attempts_total 0`, `balancer_unserved_requests_total 1`)
}

func TestOutbox(t *testing.T) {
	s := outbox.Stats{Sent: 7, Failed: 2}
	c := meters.Outbox(func() outbox.Stats { return s })
	shows(t, c, `outbox_sent_total 7`, `outbox_failed_attempts_total 2`) // and no zeros, which nobody has counted
	s.Due, s.Later, s.Dead, s.Oldest, s.At = 3, 1, 1, 90*time.Second, time.Unix(1000, 5e8)
	shows(t, c, `outbox_sent_total 7`, `outbox_failed_attempts_total 2`, `outbox_mails{state="due"} 3`, `outbox_mails{state="later"} 1`, `outbox_mails{state="dead"} 1`,
		`outbox_oldest_age_seconds 90`, `outbox_counted_timestamp_seconds 1000.5`)
}

// server is a memcached that may be lost.
type server struct {
	items map[string]*memcache.Item
	lost  bool
}

func (s *server) do(key string, call func() error) error {
	if s.lost {
		return io.ErrUnexpectedEOF
	}
	return call()
}

func (s *server) Get(key string) (item *memcache.Item, err error) {
	err = s.do(key, func() error {
		if item = s.items[key]; item == nil {
			return memcache.ErrCacheMiss
		}
		return nil
	})
	return item, err
}

func (s *server) Set(item *memcache.Item) error {
	return s.do(item.Key, func() error { s.items[item.Key] = item; return nil })
}

func (s *server) Add(item *memcache.Item) error {
	return s.do(item.Key, func() error {
		if s.items[item.Key] != nil {
			return memcache.ErrNotStored
		}
		s.items[item.Key] = item
		return nil
	})
}
func (s *server) CompareAndSwap(item *memcache.Item) error { return s.Set(item) }
func (s *server) Delete(key string) error {
	return s.do(key, func() error { delete(s.items, key); return nil })
}

func TestMemcached(t *testing.T) {
	var told []string
	config := cached.Config{
		Hit: func(what string) { told = append(told, "hit "+what) }, Miss: func(what string) { told = append(told, "miss "+what) },
		Fault: func(call string, _ error) { told = append(told, "fault "+call) }, Lost: func(key string, _ error) { told = append(told, "lost "+key) },
	}
	c := meters.NewMemcached(&config)
	memcached := &server{items: map[string]*memcache.Item{}}
	orders := memory.NewOrders()
	cache, err := cached.New([]kv.Cache{memcached}, nil, orders, config)
	require.NoError(t, err)
	defer cache.Close()
	require.NoError(t, cache.Orders().Create(context.Background(), order.Order{ID: "o-17", Customer: "ada"}))
	look := func() {
		_, err := cache.Views().Get(context.Background(), "o-17")
		require.NoError(t, err)
	}
	look()
	look()
	c.Watch(cache.Down)
	up := []string{`memcached_reads_total{result="hit",what="menu"} 0`, `memcached_reads_total{result="miss",what="menu"} 0`,
		`memcached_faults_total{call="set"} 0`, `memcached_faults_total{call="cas"} 0`}
	shows(t, c, append(up, `memcached_reads_total{result="hit",what="order"} 1`, `memcached_reads_total{result="miss",what="order"} 1`,
		`memcached_faults_total{call="get"} 0`, `memcached_faults_total{call="add"} 0`, `memcached_faults_total{call="delete"} 0`,
		`memcached_lost_deletes_total 0`, `memcached_servers{state="up"} 1`, `memcached_servers{state="down"} 0`)...)
	assert.Equal(t, []string{"miss order", "hit order"}, told, "who was told before still is")

	memcached.lost = true
	for range 5 {
		look()
	}
	assert.Contains(t, told, "fault get")
	o, err := cache.Orders().Get(context.Background(), "o-17")
	require.NoError(t, err)
	_, err = cache.Orders().Update(context.Background(), o)
	require.False(t, errors.Is(err, order.ErrUnavailable), "%v", err)
	text := shown(t, c)
	assert.Contains(t, text, `memcached_servers{state="down"} 1`)
	assert.Contains(t, text, `memcached_reads_total{result="miss",what="order"} 6`)
	assert.Contains(t, text, `memcached_lost_deletes_total 1`)
}

func TestNewRegistry(t *testing.T) {
	reg := meters.NewRegistry("edge1")
	families, err := reg.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
		if f.GetName() == "shop_build_info" {
			assert.Contains(t, f.String(), `"edge1"`)
		}
	}
	assert.True(t, names["shop_build_info"])
	assert.True(t, names["go_goroutines"])
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	assert.Empty(t, problems)
}
