// Package instrument makes the spans of what lies below the handlers: a statement
// that was sent to PostgreSQL, a call of memcached, a request to another company's
// API. In a trace they are the leaves, and mostly they are where the time went.
//
//	tracing.Server ─► gin, ordering ─┬► SQL          INSERT orders
//	                                 ├► Cache        get menu: hit
//	                                 └► Transport    POST payments
//
// SQL and Cache make a span only where there is one for it to be a part of: the loops
// that look for work every second would fill each trace store with nothing. No span
// holds a value that a customer gave: neither an argument of a statement, nor a key.
//
// Where the tracer makes no spans, as telemetry's does that is told neither to export
// nor to keep, there is nothing in the way: SQL and Cache return nil, which is what
// dbpool and cached take for "as it is", and Transport returns its argument.
//
// In the story, whoever goes to the pantry notes on the order's slip when he left, and
// when he was back.
//
// Source: OpenTelemetry's semantic conventions for databases and HTTP.
package instrument

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/XSAM/otelsql"
	"github.com/bradfitz/gomemcache/memcache"
	"github.com/lib/pq"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/solution/invalidate"
	"clicktocode.example/07-response-observability/solution/tracing"
)

// off reports whether tracer makes no spans.
func off(tracer trace.Tracer) bool {
	_, none := tracer.(noop.Tracer)
	return none || tracer == nil
}

// within reports whether a span that begins in ctx is a part of one of this process's
// that is recorded.
func within(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Transport is tracing.Client: a span of each request that next carries, and its
// traceparent for the other side. name is whom it goes to, as "payments".
func Transport(next http.RoundTripper, tracer trace.Tracer, name string) http.RoundTripper {
	if off(tracer) {
		return next
	}
	return tracing.Client(next, tracer, name)
}

// SQL returns what dbpool.Config.OpenDB wants: a pool whose statements make spans, by
// otelsql. A span's name is the statement's verb and table, as in "INSERT orders", or
// "BEGIN", "COMMIT", "ROLLBACK", "CONNECT". A fault is told by its SQLSTATE, since its
// text may quote a value.
//
// The span of a query ends when the answer begins. To read the rows is not part of it.
func SQL(tracer trace.Tracer) func(driver.Connector) *sql.DB {
	if off(tracer) {
		return nil
	}
	var known names
	return func(c driver.Connector) *sql.DB {
		return otelsql.OpenDB(c,
			otelsql.WithTracerProvider(provider{tracer: discreet{tracer}}),
			otelsql.WithAttributes(attribute.String("db.system.name", "postgresql")),
			otelsql.WithSpanNameFormatter(func(_ context.Context, method otelsql.Method, query string) string {
				switch method {
				case otelsql.MethodConnectorConnect:
					return "CONNECT"
				case otelsql.MethodConnBeginTx:
					return "BEGIN"
				case otelsql.MethodTxCommit:
					return "COMMIT"
				case otelsql.MethodTxRollback:
					return "ROLLBACK"
				}
				return known.of(query)
			}),
			otelsql.WithSpanOptions(otelsql.SpanOptions{
				OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, DisableErrSkip: true, DisableQuery: true,
				SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool { return within(ctx) },
			}))
	}
}

var (
	changes = regexp.MustCompile(`(?i)\b(?:(FOR|FOR NO KEY|DO)\s+)?(INSERT|UPDATE|DELETE|MERGE)\s+(?:INTO\s+|FROM\s+)?(?:ONLY\s+)?"?([a-z_][\w.]*)`)
	reads   = regexp.MustCompile(`(?i)\bFROM\s+(?:ONLY\s+)?"?([a-z_][\w.]*)"?\s*(\()?`)
	verb    = regexp.MustCompile(`^\s*([A-Za-z]+)`)
)

// statement is what query does, and to which table: the first that it changes, or the
// first that it reads.
func statement(query string) string {
	first := verb.FindStringSubmatch(query)
	if first == nil {
		return "SQL"
	}
	name := strings.ToUpper(first[1])
	switch name {
	case "WITH", "INSERT", "UPDATE", "DELETE", "MERGE":
		for _, found := range changes.FindAllStringSubmatch(query, -1) {
			if found[1] == "" { // SELECT … FOR UPDATE and ON CONFLICT … DO UPDATE are others
				return strings.ToUpper(found[2]) + " " + found[3]
			}
		}
		name = "SELECT"
		fallthrough
	case "SELECT":
		for _, found := range reads.FindAllStringSubmatch(query, -1) {
			if found[2] == "" { // extract(epoch FROM now()) is a function of another kind
				return name + " " + found[1]
			}
		}
	}
	return name
}

// names remembers what statement said: a program has a hundred statements, and runs
// each a million times. It does not grow on, where one makes them as it goes.
type names struct {
	known sync.Map // of string by string
	n     atomic.Int64
}

func (s *names) of(query string) string {
	if name, ok := s.known.Load(query); ok {
		return name.(string)
	}
	name := statement(query)
	if s.n.Add(1) <= 1000 {
		s.known.Store(query, name)
	}
	return name
}

// provider has one tracer for all.
type provider struct {
	embedded.TracerProvider
	tracer trace.Tracer
}

func (p provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.tracer }

// discreet makes spans that do not say what an error says.
type discreet struct{ trace.Tracer }

func (d discreet) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := d.Tracer.Start(ctx, name, options...)
	return ctx, discreetSpan{span}
}

type discreetSpan struct{ trace.Span }

// RecordError is told of each error, and then SetStatus, with no description.
func (s discreetSpan) RecordError(err error, _ ...trace.EventOption) {
	what := "failed"
	if fault := pq.As(err); fault != nil {
		what = "SQLSTATE " + string(fault.Code)
	} else if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		what = err.Error()
	}
	s.Span.SetStatus(codes.Error, what)
}

func (discreetSpan) SetStatus(codes.Code, string) {}

// Cache returns what cached.Config.Trace wants: a cache whose calls make spans in a
// request's trace. A span's name is the call and the kind of what is under the key, as
// in "get menu", and its attribute cache.result is "hit", "miss", or "placeholder"
// (see package invalidate) for a get, "kept" or "refused" for an add or a
// compare-and-swap. A call that fails (kv.Fault) is an error; a miss is none.
func Cache(tracer trace.Tracer) func(context.Context, kv.Cache) kv.Cache {
	if off(tracer) {
		return nil
	}
	return func(ctx context.Context, cache kv.Cache) kv.Cache {
		if !within(ctx) {
			return cache
		}
		return &traced{cache, ctx, tracer}
	}
}

// traced is a cache for one request. ctx is the request's.
type traced struct {
	cache  kv.Cache
	ctx    context.Context
	tracer trace.Tracer
}

// span makes call's span.
func (t *traced) span(call, key string, do func() (result string, err error)) {
	_, kind, _ := strings.Cut(key, ":") // behind the version: see kv.Key
	kind, _, _ = strings.Cut(kind, ":")
	_, span := t.tracer.Start(t.ctx, call+" "+kind, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "memcached")))
	defer span.End()
	result, err := do()
	switch {
	case kv.Fault(err):
		span.SetStatus(codes.Error, err.Error())
	case result != "":
		span.SetAttributes(attribute.String("cache.result", result))
	}
}

// Get implements kv.Cache, and so do the others.
func (t *traced) Get(key string) (item *memcache.Item, err error) {
	t.span("get", key, func() (string, error) {
		item, err = t.cache.Get(key)
		switch {
		case err != nil:
			return "miss", err
		case item.Flags == invalidate.Placeholder:
			return "placeholder", nil
		}
		return "hit", nil
	})
	return item, err
}

func (t *traced) Set(item *memcache.Item) (err error) {
	t.span("set", item.Key, func() (string, error) { err = t.cache.Set(item); return "", err })
	return err
}

func (t *traced) Add(item *memcache.Item) (err error) {
	t.span("add", item.Key, func() (string, error) { err = t.cache.Add(item); return kept(err), err })
	return err
}

func (t *traced) CompareAndSwap(item *memcache.Item) (err error) {
	t.span("cas", item.Key, func() (string, error) { err = t.cache.CompareAndSwap(item); return kept(err), err })
	return err
}

func (t *traced) Delete(key string) (err error) {
	t.span("delete", key, func() (string, error) { err = t.cache.Delete(key); return "", err })
	return err
}

func kept(err error) string {
	if err != nil {
		return "refused"
	}
	return "kept"
}
