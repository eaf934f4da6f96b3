package waterfall_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/solution/tlsserver"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
	"clicktocode.example/07-response-observability/instrument"
	"clicktocode.example/07-response-observability/solution/tracing"
	"clicktocode.example/07-response-observability/telemetry"
	"clicktocode.example/07-response-observability/waterfall"
)

// world is a shop: a DNS server, an edge, a replica behind it, and for both a listener
// of their operators.
type world struct {
	dns, home string
	admins    []string
	answers   map[string]string // by method and path: a status and a body
	got       map[string]http.Header
	bodies    map[string]string
	slow      chan struct{} // unless nil, the replica's span of an order does not end before
}

func newWorld(t *testing.T, keep int) *world {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("WORKSHOP_DIR", dir)
	w := &world{got: map[string]http.Header{}, bodies: map[string]string{}, answers: map[string]string{
		"GET /menu":     `200 {"dishes": [{"id": "phở", "left": 0}, {"id": "ramen", "left": 17}, {"id": "udon"}]}`,
		"POST /session": `201 {"token": "eyJ", "expires_in": 3600}`,
		"POST /orders": `201 {"id": "0f1e", "state": "paid", "lines": [{"dish": "ramen", "name": "Ramen with egg", "quantity": 1, "unit": {"amount": 1250, "currency": "EUR"}, "total": {"amount": 1250, "currency": "EUR"}}],
			"discount": {"amount": 125, "currency": "EUR"}, "tax": {"amount": 79, "currency": "EUR"}, "total": {"amount": 1204, "currency": "EUR"}}`,
	}}
	names, err := zone.Listen("127.0.0.1:0", zone.ShopTest, nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, names.Close()) })
	w.dns = names.Addr()

	replica := httptest.NewServer(w.traced(t, "a", keep, http.HandlerFunc(w.serve)))
	t.Cleanup(replica.Close)
	to, err := url.Parse(replica.URL)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	edge := httptest.NewUnstartedServer(w.traced(t, "edge1", keep, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("cache", "edge1; fwd=method"))
		(&httputil.ReverseProxy{
			Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(to) },
			Transport: instrument.Transport(transport, trace.SpanFromContext(r.Context()).TracerProvider().Tracer("edge1"), "replica"),
		}).ServeHTTP(rw, r)
	})))
	keys, err := authority.Open(authority.Config{Dir: dir})
	require.NoError(t, err)
	edge.TLS = tlsserver.Config(func() (*tls.Certificate, error) { return keys.Current() })
	ln := edge.Listener
	edge.Listener = tls.NewListener(ln, edge.TLS)
	edge.Start()
	t.Cleanup(edge.Close)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	w.home = "https://shop.test:" + port + "/"
	return w
}

// traced is a role, with a listener for its operator.
func (w *world) traced(t *testing.T, role string, keep int, h http.Handler) http.Handler {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Role: role, Keep: keep})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	admin := httptest.NewServer(tel)
	t.Cleanup(admin.Close)
	w.admins = append(w.admins, admin.Listener.Addr().String())
	if keep == 0 {
		return h
	}
	return tracing.Server(h, tel.Tracer(role), func(r *http.Request) string { return r.Method + " " + r.URL.Path })
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + r.URL.Path
	body, _ := io.ReadAll(r.Body)
	w.got[call], w.bodies[call] = r.Header.Clone(), string(body) // one request at a time
	status, text, _ := strings.Cut(w.answers[call], " ")
	code := 404
	_, _ = fmt.Sscan(status, &code)
	rw.Header().Set("Server-Timing", "a;dur=1")
	rw.Header().Set("Content-Length", fmt.Sprint(len(text))) // so the client has all of it before this returns
	rw.WriteHeader(code)
	_, _ = io.WriteString(rw, text)
	if w.slow != nil && call == "POST /orders" {
		_ = http.NewResponseController(rw).Flush()
		_, part := trace.SpanFromContext(r.Context()).TracerProvider().Tracer("a").Start(r.Context(), "COMMIT")
		part.End()
		<-w.slow
	}
}

// click clicks n times on url.
func (w *world) click(t *testing.T, url string, n int) (clicks []stage.Click) {
	t.Helper()
	require.NoError(t, w.run(t, url, n, &clicks))
	require.Len(t, clicks, n)
	return clicks
}

func (w *world) run(t *testing.T, url string, n int, clicks *[]stage.Click) error {
	s := &stage.Stage{Name: "click", URL: url, Count: n, Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) { *clicks = append(*clicks, *e.Click) }}
	return waterfall.Command(w.dns, w.home, w.admins)(t.Context(), s)
}

func TestADinner(t *testing.T) {
	w := newWorld(t, 100)
	clicks := w.click(t, w.home, 2)
	first := clicks[0]
	assert.Equal(t, []string{
		"DNS", "TCP", "TLS",
		"GET /menu", "  edge1 GET /menu (PASS)", "    GET replica", "      a GET /menu", "body",
		"POST /session", "  edge1 POST /session (PASS)", "    POST replica", "      a POST /session", "body",
		"POST /orders", "  edge1 POST /orders (PASS)", "    POST replica", "      a POST /orders", "body",
	}, names(first.Phases))
	assert.Contains(t, first.Phases[1].Detail, "the balancer")
	assert.Equal(t, 201, first.Status)
	assert.Equal(t, w.home+"orders", first.URL)
	assert.False(t, first.Reused)
	assert.Equal(t, `Order 0f1e, paid

  1 × Ramen with egg                      12.50 EUR
  Discount                                -1.25 EUR
  Tax                                      0.79 EUR
  Total                                   12.04 EUR
`, first.Body)
	assert.JSONEq(t, `{"lines": [{"dish": "ramen", "quantity": 1}]}`, w.bodies["POST /orders"], "the first dish that is left")
	assert.Equal(t, "Bearer eyJ", w.got["POST /orders"].Get("Authorization"))
	assert.NotEmpty(t, w.got["POST /orders"].Get("Idempotency-Key"))

	end := int64(0)
	for i, p := range first.Phases {
		assert.Equal(t, len([]rune(first.Phases[0].Name)), len([]rune(p.Name)), "columns stay columns")
		assert.GreaterOrEqual(t, p.StartUS, int64(0))
		if !strings.HasPrefix(p.Name, " ") {
			assert.GreaterOrEqual(t, p.StartUS, end-1, "phase %d: one behind the other", i)
			end = p.StartUS + p.US
		}
	}
	require.Len(t, first.Hops, 1)
	assert.Equal(t, "edge1", strings.TrimSpace(first.Hops[0].Name))
	assert.Regexp(t, `^trace [0-9a-f]{32}, 9 spans$`, first.Hops[0].Detail)

	second := clicks[1]
	assert.True(t, second.Reused)
	assert.Equal(t, "GET /menu", names(second.Phases)[0], "the connection is there")
	assert.NotContains(t, names(second.Phases), "POST /session", "and so is the token")
	assert.NotEqual(t, first.Hops[0].Detail, second.Hops[0].Detail, "another trace")
}

func TestADinnerThatFails(t *testing.T) {
	for call, answer := range map[string]string{
		"GET /menu": `503 {"title": "The kitchen burns"}`, "POST /session": "429 slowly", "POST /orders": `402 {"title": "Declined"}`,
	} {
		t.Run(call, func(t *testing.T) {
			w := newWorld(t, 100)
			w.answers[call] = answer
			click := w.click(t, w.home, 1)[0]
			assert.Equal(t, answer, fmt.Sprintf("%d %s", click.Status, click.Body), "the answer is shown as it is")
			got := names(click.Phases)
			assert.Equal(t, call, got[len(got)-5], "it is the last request")
		})
	}
	t.Run("sold out", func(t *testing.T) {
		w := newWorld(t, 100)
		w.answers["GET /menu"] = `200 {"dishes": [{"id": "ramen", "left": 0}]}`
		click := w.click(t, w.home, 1)[0]
		assert.Contains(t, click.Body, "sold out")
		assert.Equal(t, 200, click.Status)
	})
	t.Run("no answers that make sense", func(t *testing.T) {
		for call, want := range map[string]string{"GET /menu": "does not answer with a menu", "POST /session": "without a token"} {
			w := newWorld(t, 100)
			w.answers[call] = "200 <html>"
			assert.ErrorContains(t, w.run(t, w.home, 1, new([]stage.Click)), want)
		}
	})
}

func TestAnyOtherURL(t *testing.T) {
	w := newWorld(t, 100)
	click := w.click(t, w.home+"menu", 1)[0]
	assert.Equal(t, []string{"DNS", "TCP", "TLS", "wait", "  edge1 GET /menu (PASS)", "    GET replica", "      a GET /menu", "body"}, names(click.Phases))
	assert.Contains(t, click.Body, `{"dishes"`)

	var clicks []stage.Click
	assert.ErrorContains(t, w.run(t, "::", 1, &clicks), "this is no URL")
	assert.ErrorContains(t, w.run(t, "https://nowhere.test/", 1, &clicks), "nowhere.test")
	s := &stage.Stage{URL: w.home, Count: 1}
	assert.ErrorContains(t, waterfall.Command("nowhere", w.home, nil)(t.Context(), s), "set DNS_ADDR")
}

func TestSpansThatAreLateOrMissing(t *testing.T) {
	t.Run("a span that ends after the answer is waited for", func(t *testing.T) {
		w := newWorld(t, 100)
		w.slow = make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() { close(w.slow) })
		got := names(w.click(t, w.home, 1)[0].Phases)
		assert.Equal(t, []string{"      a POST /orders", "        COMMIT", "body"}, got[len(got)-3:], "a part of it has ended, so it must be there")
	})
	t.Run("a role that does not answer costs its spans, and little time", func(t *testing.T) {
		w := newWorld(t, 100)
		w.admins = append(w.admins[1:], "127.0.0.1:1") // the replica's is first
		began := time.Now()
		got := names(w.click(t, w.home+"menu", 1)[0].Phases)
		assert.Equal(t, []string{"DNS", "TCP", "TLS", "wait", "  edge1 GET /menu (PASS)", "    GET replica", "body"}, got)
		assert.Less(t, time.Since(began), 2*time.Second)
	})
	t.Run("nobody makes spans", func(t *testing.T) {
		w := newWorld(t, 0)
		for _, admins := range [][]string{w.admins, {"127.0.0.1:1"}, nil} {
			w.admins = admins
			click := w.click(t, w.home+"menu", 1)[0]
			got := names(click.Phases)
			assert.Equal(t, []string{"wait", "body"}, got[len(got)-2:])
			require.Len(t, click.Hops, 1)
			assert.Equal(t, "a", strings.TrimSpace(click.Hops[0].Name), "what Server-Timing says")
		}
	})
}
