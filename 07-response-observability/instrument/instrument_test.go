package instrument_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/dbpool"
	"clicktocode.example/06-database-cache/solution/invalidate"
	"clicktocode.example/06-database-cache/store"
	"clicktocode.example/07-response-observability/instrument"
	"clicktocode.example/07-response-observability/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a process with a tracer, and a request in it.
type scene struct {
	*telemetry.Telemetry
	tracer  trace.Tracer
	ctx     context.Context
	request trace.Span
}

func newScene(t testing.TB) *scene {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Role: "a", Keep: 100})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	s := &scene{Telemetry: tel, tracer: tel.Tracer("test")}
	s.ctx, s.request = s.tracer.Start(t.Context(), "POST /orders")
	t.Cleanup(func() { s.request.End() })
	return s
}

// spans are those of the request, which is not ended yet.
func (s *scene) spans() []telemetry.Span { return s.Recent(s.request.SpanContext().TraceID()) }

func (s *scene) names() (names []string) {
	for _, span := range s.spans() {
		names = append(names, span.Name)
	}
	return names
}

func pool(t testing.TB, url string, tracer trace.Tracer) *sqlx.DB {
	t.Helper()
	db, err := dbpool.Open(url, dbpool.Config{OpenDB: instrument.SQL(tracer)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func TestSQL(t *testing.T) {
	url := pgtest.URL(t)

	t.Run("names_statements", func(t *testing.T) {
		s := newScene(t)
		db := pool(t, url, s.tracer)
		var n int
		require.NoError(t, db.GetContext(s.ctx, &n, `SELECT count(*) FROM orders WHERE customer = $1`, "ada lovelace"))
		tx, err := db.BeginTxx(s.ctx, nil)
		require.NoError(t, err)
		_, err = tx.ExecContext(s.ctx, `INSERT INTO outbox (key, "to", subject, text) VALUES ($1, $2, 's', 't') ON CONFLICT (key) DO UPDATE SET text = 'u'`, "secret-1", "ada lovelace")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		tx, err = db.BeginTxx(s.ctx, nil)
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())
		assert.Equal(t, []string{"CONNECT", "SELECT orders", "BEGIN", "INSERT outbox", "COMMIT", "BEGIN", "ROLLBACK"}, s.names())
		for _, span := range s.spans() {
			assert.Equal(t, s.request.SpanContext().SpanID().String(), span.Parent, "%s is a part of the request", span.Name)
			assert.Empty(t, span.Error)
		}
	})

	t.Run("says_no_values", func(t *testing.T) {
		s := newScene(t)
		db := pool(t, url, s.tracer)
		_, err := db.ExecContext(s.ctx, `SELECT $1::text::int FROM orders`, "ada lovelace")
		_, err2 := db.ExecContext(s.ctx, `UPDATE dishes SET stock = 'ada lovelace'`)
		require.ErrorContains(t, errors.Join(err, err2), "ada lovelace", "PostgreSQL quotes it")
		text, err := json.Marshal(s.spans())
		require.NoError(t, err)
		assert.NotContains(t, string(text), "ada")
		spans := s.spans()
		assert.Equal(t, "UPDATE dishes", spans[len(spans)-1].Name)
		assert.Equal(t, "SQLSTATE 22P02", spans[len(spans)-1].Error, "what is wrong can be looked up")
	})

	t.Run("is_quiet_where_nobody_asks", func(t *testing.T) {
		s := newScene(t)
		starts := &counting{Tracer: s.tracer}
		db := pool(t, url, starts)
		require.NoError(t, db.PingContext(s.ctx))
		before := starts.n
		require.NoError(t, db.PingContext(s.ctx))
		_, err := db.ExecContext(t.Context(), `UPDATE outbox SET due = now()`)
		require.NoError(t, err)
		assert.Equal(t, before, starts.n, "spans of a ping, a reset, and a statement of no request")
	})

	t.Run("changes_nothing", func(t *testing.T) {
		s := newScene(t)
		db := pool(t, url, s.tracer)
		orders, err := store.New(db, store.Config{})
		require.NoError(t, err)
		ordertest.TestOrders(t, func(t *testing.T) order.Orders {
			db.MustExec(`TRUNCATE orders CASCADE`)
			return within{orders, s.ctx}
		})
		assert.Contains(t, s.names(), "UPDATE orders")
	})
}

// within makes calls a part of the request.
type within struct {
	order.Orders
	request context.Context
}

func (w within) ctx(ctx context.Context) context.Context {
	return trace.ContextWithSpan(ctx, trace.SpanFromContext(w.request))
}
func (w within) Create(ctx context.Context, o order.Order) error {
	return w.Orders.Create(w.ctx(ctx), o)
}
func (w within) Get(ctx context.Context, id string) (order.Order, error) {
	return w.Orders.Get(w.ctx(ctx), id)
}
func (w within) Update(ctx context.Context, o order.Order) (order.Order, error) {
	return w.Orders.Update(w.ctx(ctx), o)
}

// counting counts the spans that it is asked for.
type counting struct {
	trace.Tracer
	n int
}

func (c *counting) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	c.n++
	return c.Tracer.Start(ctx, name, options...)
}

func TestCache(t *testing.T) {
	t.Run("is_one", func(t *testing.T) {
		s := newScene(t)
		kvtest.TestCache(t, func(*testing.T) kv.Cache { return instrument.Cache(s.tracer)(s.ctx, &kvtest.Memory{}) })
		assert.NotEmpty(t, s.spans())
	})

	t.Run("says_what_came_of_it_and_of_which_kind", func(t *testing.T) {
		s := newScene(t)
		m := &kvtest.Memory{}
		c := instrument.Cache(s.tracer)(s.ctx, m)
		key := kv.Key("order", "ada-17")
		_, _ = c.Get(key)
		_ = c.Add(&memcache.Item{Key: key, Flags: invalidate.Placeholder})
		item, _ := c.Get(key)
		_ = c.CompareAndSwap(&memcache.Item{Key: key, CasID: item.CasID})
		_ = c.CompareAndSwap(&memcache.Item{Key: key, CasID: item.CasID})
		_, _ = c.Get(key)
		_ = c.Delete(key)
		m.Before(func(kvtest.Call) error { return io.ErrUnexpectedEOF })
		_ = c.Set(&memcache.Item{Key: key})
		var got []string
		for _, span := range s.spans() {
			got = append(got, strings.TrimSpace(span.Name+" "+span.Attributes["cache.result"]+span.Error))
		}
		assert.Equal(t, []string{"get order miss", "add order kept", "get order placeholder", "cas order kept", "cas order refused", "get order hit", "delete order", "set order unexpected EOF"}, got)
		text, err := json.Marshal(s.spans())
		require.NoError(t, err)
		assert.NotContains(t, string(text), "ada-17")
	})

	t.Run("is_the_cache_itself_where_nobody_asks", func(t *testing.T) {
		s, m := newScene(t), &kvtest.Memory{}
		assert.Same(t, m, instrument.Cache(s.tracer)(t.Context(), m))
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport(t *testing.T) {
	s := newScene(t)
	var traceparent string
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		traceparent = r.Header.Get("traceparent")
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, "http://127.0.0.1/v1/payment_intents", nil)
	require.NoError(t, err)
	resp, err := instrument.Transport(next, s.tracer, "payments").RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, []string{"POST payments"}, s.names())
	assert.Contains(t, traceparent, s.request.SpanContext().TraceID().String()+"-"+s.spans()[0].ID)
}

// Off is a tracer that makes no spans: nothing is in the way.
func TestOff(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Role: "a"})
	require.NoError(t, err)
	for name, tracer := range map[string]trace.Tracer{"telemetry": tel.Tracer("test"), "noop": noop.Tracer{}, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			assert.Nil(t, instrument.SQL(tracer))
			assert.Nil(t, instrument.Cache(tracer))
			next := &http.Transport{}
			assert.Same(t, next, instrument.Transport(next, tracer, "payments"))
		})
	}
}

// still is a connection whose statements do nothing, and a cache whose calls do
// nothing: what is left is what instrumentation costs.
type still struct{}

func (still) Connect(context.Context) (driver.Conn, error) { return still{}, nil }
func (still) Driver() driver.Driver                        { return nil }
func (still) Prepare(string) (driver.Stmt, error)          { return nil, errors.ErrUnsupported }
func (still) Begin() (driver.Tx, error)                    { return nil, errors.ErrUnsupported }
func (still) Close() error                                 { return nil }
func (still) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}
func (still) Get(string) (*memcache.Item, error)  { return nil, memcache.ErrCacheMiss }
func (still) Set(*memcache.Item) error            { return nil }
func (still) Add(*memcache.Item) error            { return nil }
func (still) CompareAndSwap(*memcache.Item) error { return nil }
func (still) Delete(string) error                 { return nil }
func (still) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

// call makes a statement, a cache's call and a request, each instrumented by tracer.
func call(tb testing.TB, tracer trace.Tracer) (statement, get, request func(ctx context.Context)) {
	open := sql.OpenDB
	if traced := instrument.SQL(tracer); traced != nil {
		open = traced
	}
	db := open(still{})
	tb.Cleanup(func() { _ = db.Close() })
	in := instrument.Cache(tracer)
	cache := kv.Cache(still{})
	transport := instrument.Transport(still{}, tracer, "payments")
	asked, err := http.NewRequest(http.MethodPost, "http://127.0.0.1/", nil)
	require.NoError(tb, err)
	return func(ctx context.Context) { _, _ = db.ExecContext(ctx, `UPDATE orders SET state = 'paid'`) },
		func(ctx context.Context) {
			c := cache
			if in != nil {
				c = in(ctx, cache)
			}
			_, _ = c.Get("v1:menu")
		},
		func(ctx context.Context) { _, _ = transport.RoundTrip(asked.WithContext(ctx)) }
}

func TestAllocations(t *testing.T) {
	bare, bareGet, bareRequest := call(t, nil)
	off, offGet, offRequest := call(t, noop.NewTracerProvider().Tracer("test"))
	s := newScene(t)
	_, quietGet, _ := call(t, s.tracer)
	count := func(f func(context.Context)) float64 {
		f(t.Context()) // the pool connects
		return testing.AllocsPerRun(200, func() { f(t.Context()) })
	}
	assert.Equal(t, count(bare), count(off), "allocations of a statement, off")
	assert.Equal(t, count(bareGet), count(offGet), "of a cache's call, off")
	assert.Equal(t, count(bareRequest), count(offRequest), "of a request, off")
	assert.Equal(t, count(bareGet), count(quietGet), "of a cache's call that belongs to no request")
}

func BenchmarkCalls(b *testing.B) {
	s := newScene(b)
	for _, tracer := range []struct {
		name string
		trace.Tracer
		ctx context.Context
	}{{"off", noop.Tracer{}, b.Context()}, {"of_no_request", s.tracer, b.Context()}, {"traced", s.tracer, s.ctx}} {
		statement, get, request := call(b, tracer.Tracer)
		for name, f := range map[string]func(context.Context){"statement": statement, "get": get, "request": request} {
			b.Run(name+"/"+tracer.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f(tracer.ctx)
				}
			})
		}
	}
}
