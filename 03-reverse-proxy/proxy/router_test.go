package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/proxy"
)

func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name, " ", r.URL.RequestURI()) })
}

func TestRouter(t *testing.T) {
	routes := []proxy.Route{
		{"Shop.test", "/", named("shop")},
		{"shop.test", "/api", named("api")},
		{"shop.test", "/api/v2", named("v2")},
		{"*.shop.test", "/", named("any")},
		{"kitchen.shop.test", "/pots", named("kitchen")},
	}
	strict, err := proxy.NewRouter(routes...)
	require.NoError(t, err)
	kind, err := proxy.NewRouter(append(routes, proxy.Route{"", "/", named("default")})...)
	require.NoError(t, err)

	for _, row := range []struct{ host, target, strict, kind string }{
		{"shop.test", "/", "shop /", ""},
		{"SHOP.test:8443", "/menu", "shop /menu", ""},
		{"shop.test.", "/", "shop /", ""},
		{"shop.test.:443", "/", "shop /", ""},
		{"shop.test", "/api", "api /api", ""},
		{"shop.test", "/api/", "api /api/", ""},
		{"shop.test", "/api?a=/api/v2", "api /api?a=/api/v2", ""},
		{"shop.test", "/apix", "shop /apix", ""},
		{"shop.test", "/API", "shop /API", ""},
		{"shop.test", "/api/v2/menu", "v2 /api/v2/menu", ""},
		{"shop.test", "/api/v22", "api /api/v22", ""},
		{"bar.shop.test", "/api", "any /api", ""},
		{"kitchen.shop.test", "/pots/1", "kitchen /pots/1", ""},
		{"kitchen.shop.test", "/pans", "404", ""}, // its host has routes: no other's stand in
		{"a.bar.shop.test", "/", "421", "default /"},
		{"evil.test", "/", "421", "default /"},
		{"evilshop.test", "/", "421", "default /"},
		{".shop.test", "/", "any /", ""},
		{"", "/", "421", "default /"},
		{"[::1]:8443", "/", "421", "default /"},

		// Clean paths, by which the route is chosen and which go on.
		{"shop.test", "/x/../api", "api /api", ""},
		{"shop.test", "/api/../x", "shop /x", ""},
		{"shop.test", "/api/..", "shop /", ""},
		{"shop.test", "/api/.", "api /api/", ""},
		{"shop.test", "/../../api/./v2/x/..", "v2 /api/v2/", ""},
		{"shop.test", "//api///v2", "v2 /api/v2", ""},
		{"shop.test", "/a%20b/../%C3%A9", "shop /%C3%A9", ""},
		{"shop.test", "/%61pi", "api /%61pi", ""},
		{"shop.test", "/a!b/../c%21d", "shop /c%21d", ""},
		{"shop.test", "/.well-known/x..y/...", "shop /.well-known/x..y/...", ""},
		{"shop.test", "/a;b=c/%252e%252e", "shop /a;b=c/%252e%252e", ""}, // decoded once, it is a name
		{"shop.test", "*", "400", ""},                                    // is for OPTIONS alone

		// What has two meanings.
		{"shop.test", "/x/%2e%2e/api", "400", "400"},
		{"shop.test", "/x/.%2E/api", "400", "400"},
		{"shop.test", "/%2e/api", "400", "400"},
		{"shop.test", "/x%2fapi", "400", "400"},
		{"shop.test", "/x/..%2Fapi", "400", "400"},
		{"shop.test", "/x%5c..%5capi", "400", "400"},
		{"shop.test", `/x\..\api`, "400", "400"},
		{"shop.test", "/menu%00.html", "400", "400"},
		{"shop.test", "/menu%0d%0aX: 1", "400", "400"},
		{"shop.test", "/x/..;/api", "400", "400"},
		{"shop.test", "/x/.;a=b/api", "400", "400"},
		{"shop.test", "/x/%2e%2e;/api", "400", "400"},
		{"shop.test", "", "400", "400"},
	} {
		if row.kind == "" {
			row.kind = row.strict
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = row.host
		var err error
		r.URL, err = r.URL.Parse(row.target)
		require.NoError(t, err)
		if u, err := r.URL.Parse("http://h" + row.target); err == nil && strings.HasPrefix(row.target, "/") {
			r.URL = u // as it came: Parse with a base resolves dots
		}
		if row.target == "*" || row.target == "" {
			r.URL.Path = row.target
		}
		before := *r.URL
		for i, m := range []*proxy.Router{strict, kind} {
			w := httptest.NewRecorder()
			m.ServeHTTP(w, r)
			got := w.Body.String()
			if w.Code != http.StatusOK {
				got = fmt.Sprint(w.Code)
			}
			assert.Equal(t, []string{row.strict, row.kind}[i], strings.ReplaceAll(got, "http://h", ""), "%s%s, with a default: %v", row.host, row.target, i == 1)
			assert.Equal(t, before, *r.URL, "the request is its caller's")
		}
	}

	t.Run("is_checked_at_once", func(t *testing.T) {
		_, err := proxy.NewRouter(
			proxy.Route{"a.test", "/", nil},
			proxy.Route{"b.test:80", "/", named("")},
			proxy.Route{"*", "/", named("")},
			proxy.Route{"c.test", "api", named("")},
			proxy.Route{"c.test", "/api/", named("")},
			proxy.Route{"c.test", "/a/../b", named("")},
			proxy.Route{"d.test", "/x", named("")}, proxy.Route{"D.test", "/x", named("")},
		)
		for _, want := range []string{"a.test/ has no handler", `"b.test:80"`, `host "*"`, `prefix "api"`, `"/api/"`, `"/a/../b"`, "D.test/x is there twice"} {
			assert.ErrorContains(t, err, want)
		}
		_, err = proxy.NewRouter()
		assert.ErrorContains(t, err, "no routes")
	})
}

// FuzzRouter: what goes on is clean, and stays so.
func FuzzRouter(f *testing.F) {
	for _, seed := range []string{"/a/../b", "//a/./b/..", "/%2e%2e/a", "/a%2fb", "/..;/a", "/%C3%A9/../%61!"} {
		f.Add(seed)
	}
	var got *url.URL
	m, err := proxy.NewRouter(proxy.Route{"", "/", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL })})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" {
			return
		}
		got = nil
		m.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: http.MethodGet, URL: u})
		if got == nil {
			return
		}
		once := got
		m.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: http.MethodGet, URL: once})
		require.Equal(t, once, got, "cleaned twice")
		sent, err := url.ParseRequestURI(got.RequestURI()) // as the backend reads it
		require.NoError(t, err)
		require.Equal(t, got.Path, sent.Path)
		for _, text := range []string{got.Path, got.EscapedPath()} {
			require.NotContains(t, text, "//")
			require.NotContains(t, text+"/", "/../")
			require.NotContains(t, text+"/", "/./")
			require.NotContains(t, text, "/..;")
		}
	})
}

func BenchmarkRouter(b *testing.B) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	m, err := proxy.NewRouter(proxy.Route{"shop.test", "/", nothing}, proxy.Route{"shop.test", "/api", nothing}, proxy.Route{"*.shop.test", "/", nothing})
	require.NoError(b, err)
	r := httptest.NewRequest(http.MethodGet, "https://shop.test:8443/api/menu?a=1", nil)
	b.ReportAllocs()
	for b.Loop() {
		m.ServeHTTP(nil, r)
	}
}

func TestLimits(t *testing.T) {
	start := func(t *testing.T, c proxy.LimitsConfig, h http.HandlerFunc) (do func(request string) (int, string)) {
		limits, err := proxy.NewLimits(h, c)
		require.NoError(t, err)
		s := httptest.NewServer(limits)
		t.Cleanup(s.Close)
		return func(request string) (int, string) {
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprint(conn, request)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			return resp.StatusCode, string(text)
		}
	}
	read := func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		fmt.Fprint(w, len(text), " ", err)
	}

	t.Run("of_fields", func(t *testing.T) {
		do := start(t, proxy.LimitsConfig{Fields: 3}, read)
		for n, want := range map[int]int{3: 200, 4: 431} {
			status, _ := do("GET / HTTP/1.1\r\nHost: shop.test\r\n" + strings.Repeat("X: 1\r\n", n) + "\r\n")
			assert.Equal(t, want, status, "%d lines", n)
		}
	})

	t.Run("of_the_body", func(t *testing.T) {
		do := start(t, proxy.LimitsConfig{Body: 4}, read)
		for request, want := range map[string]string{
			"Content-Length: 4\r\n\r\nsoup":                                      "200 4 <nil>",
			"Content-Length: 5\r\n\r\n":                                          "413 413 Request Entity Too Large\n", // before it comes
			"Transfer-Encoding: chunked\r\n\r\n4\r\nsoup\r\n0\r\n\r\n":           "200 4 <nil>",
			"Transfer-Encoding: chunked\r\n\r\n5\r\nsoups\r\n0\r\n\r\n":          "200 4 http: request body too large",
			"Transfer-Encoding: chunked\r\n\r\n2\r\nso\r\n3\r\nups\r\n0\r\n\r\n": "200 4 http: request body too large",
		} {
			status, text := do("POST / HTTP/1.1\r\nHost: shop.test\r\n" + request)
			assert.Equal(t, want, fmt.Sprint(status, " ", text), request)
		}
	})

	t.Run("of_the_body_through_the_proxy", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
		e.around = func(next http.Handler) http.Handler {
			limits, err := proxy.NewLimits(next, proxy.LimitsConfig{Body: 4})
			require.NoError(t, err)
			return limits
		}
		assert.Equal(t, "soup", e.raw(t, "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsoup\r\n0\r\n\r\n").body)
		a := e.raw(t, "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsoups\r\n0\r\n\r\n")
		assert.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
		assert.True(t, a.Close)
	})

	t.Run("of_the_time", func(t *testing.T) {
		e := startEdge(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "half" {
				io.WriteString(w, "half of")
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		})
		e.around = func(next http.Handler) http.Handler {
			limits, err := proxy.NewLimits(next, proxy.LimitsConfig{Time: 50 * time.Millisecond})
			require.NoError(t, err)
			return limits
		}
		assert.Equal(t, http.StatusGatewayTimeout, e.raw(t, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").StatusCode)
		eventually(t, func() bool { // or it is 504 again, on a busy machine
			resp, err := e.client.Get(e.url + "/?half")
			if err != nil {
				return true
			}
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			return err != nil
		}, "an answer that has begun is cut")
		e.quiet(t)
	})

	t.Run("are_checked_at_once", func(t *testing.T) {
		_, err := proxy.NewLimits(nil, proxy.LimitsConfig{Time: -1})
		assert.ErrorContains(t, err, "without a handler")
		assert.ErrorContains(t, err, "-1ns")
	})
}
