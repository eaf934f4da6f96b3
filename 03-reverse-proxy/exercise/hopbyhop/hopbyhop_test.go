package hopbyhop_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/exercise/hopbyhop"
)

// list are the fields that go no further, whoever names them, with values as
// they have them.
var list = []struct{ name, value, why string }{
	{"Connection", "keep-alive", "it says how this connection is kept (RFC 9110 §7.6.1)"},
	{"Keep-Alive", "timeout=5, max=100", "it says how long this connection is kept (RFC 9110 §7.6.1)"},
	{"Proxy-Connection", "keep-alive", "it is Connection, misunderstood by old browsers (RFC 9110 §7.6.1)"},
	{"TE", "gzip", `it says which transfer codings the neighbour can read (RFC 9110 §7.6.1). As a key of http.Header it is "Te": compare with that`},
	{"Transfer-Encoding", "chunked", "it says how the body is framed on this connection, and on the next one it will be framed anew (RFC 9112 §6.1)"},
	{"Upgrade", "h2c", "it asks this neighbour to change the protocol of this connection (RFC 9110 §7.6.1, §7.8)"},
	{"Proxy-Authenticate", `Basic realm="proxy"`, "it is one proxy's question to its own client (RFC 9110 §11.7.1)"},
	{"Proxy-Authorization", "Basic c2VjcmV0", "it is a password for this proxy, and the next server must not see it (RFC 9110 §11.7.2)"},
	{"Proxy-Authentication-Info", "nextnonce=1", "it is for the next client alone (RFC 9110 §11.7.3)"},
}

func TestCopy(t *testing.T) {
	t.Run("copies_what_goes_all_the_way", func(t *testing.T) {
		src := header("Accept: text/html", "Authorization: Bearer x", "Cookie: table=4", "X-Menu: today")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, show(src), show(dst), "as in: dst is empty, and src is %s. All of these go to the other end, and no Connection names them: they must be in dst", show(src))
	})

	t.Run("copies_all_values_in_their_order", func(t *testing.T) {
		src := header("Set-Cookie: table=4", "Set-Cookie: waiter=7", "Set-Cookie: bill=1", "Vary: Accept", "Vary: Cookie")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, show(src), show(dst), "as in: an answer with %s. Each value is a line of its own, and their order counts (RFC 9110 §5.3)", show(src))
	})

	t.Run("leaves_out_the_list", func(t *testing.T) {
		for _, row := range list {
			src := header("Accept: text/html", row.name+": "+row.value)
			dst := copied(t, http.Header{}, src)
			require.Equal(t, "Accept: text/html", show(dst), "as in: src is %s. Accept goes on, and %s does not: %s", show(src), row.name, row.why)
		}
	})

	t.Run("leaves_out_TE_though_it_says_trailers", func(t *testing.T) {
		src := header("Accept: text/html", "Connection: TE", "TE: trailers")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, "Accept: text/html", show(dst), "as in: src is %s. TE goes no further whatever it says: the client can read trailers, and whether the proxy can is for the proxy to say (RFC 9110 §10.1.4). It sets that in dst itself", show(src))
	})

	t.Run("leaves_out_Upgrade_though_it_says_websocket", func(t *testing.T) {
		src := header("Accept: text/html", "Connection: Upgrade", "Upgrade: websocket")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, "Accept: text/html", show(dst), "as in: src is %s. Upgrade goes no further whatever it asks for: it is about this connection, and a proxy that is ready for it on the next one, too, sets it in dst itself (RFC 9110 §7.8)", show(src))
	})

	t.Run("keeps_what_only_begins_like_the_list", func(t *testing.T) {
		src := header("Proxy-Authorization: Basic c2VjcmV0", "Proxy-Status: edge; error=dns_timeout")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, "Proxy-Status: edge; error=dns_timeout", show(dst), "as in: src is %s. Proxy-Status is not on the list: it tells the other end what went wrong on the way, and goes all the way (RFC 9209 §2). Only the three fields of the list that begin with Proxy-Auth, and Proxy-Connection, end here", show(src))
	})

	t.Run("keeps_what_is_about_the_content", func(t *testing.T) {
		src := header("Connection: keep-alive", "Content-Encoding: gzip", "Content-Length: 1024", "Content-Type: text/html", "Date: Sat, 01 Aug 2026 12:00:00 GMT")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, "Content-Encoding: gzip; Content-Length: 1024; Content-Type: text/html; Date: Sat, 01 Aug 2026 12:00:00 GMT", show(dst), "as in: src is %s. Only Connection ends here. Content-Length looks like framing, but it is about the content, and nobody else could say it in the answer to HEAD (RFC 9110 §8.6)", show(src))
	})

	t.Run("leaves_out_what_Connection_names", func(t *testing.T) {
		src := header("Accept: text/html", "Connection: close, X-Hop, X-Only-Here", "X-Hop: 1", "X-Only-Here: 2", "X-Hopeful: 3")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, "Accept: text/html; X-Hopeful: 3", show(dst), "as in: src is %s. Connection names the fields X-Hop and X-Only-Here: with them it is as with Connection itself, they are for this neighbour alone (RFC 9110 §7.6.1). X-Hopeful only looks like one of them", show(src))
	})

	t.Run("keeps_the_trailers", func(t *testing.T) {
		src := header("Trailer: X-Checksum", "Transfer-Encoding: chunked")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, "Trailer: X-Checksum", show(dst), "as in: src is %s. Trailer announces fields that come behind the body. Those go all the way (RFC 9110 §6.6.2), however the body is framed", show(src))
	})
}

func TestConnection(t *testing.T) {
	for _, row := range []struct {
		name  string
		lines []string
		why   string
	}{
		{"in_any_case", []string{"x-hop, X-ONLY-here"}, "Names of fields are the same in any case (RFC 9110 §5.1). http.CanonicalHeaderKey makes of each the one that is a key in src"},
		{"on_several_lines", []string{"keep-alive", "X-Hop", "X-Only-Here"}, "A list may stand on several lines (RFC 9110 §5.3), and src.Get returns the first one alone: src[\"Connection\"] has them all"},
		{"with_spaces_or_none", []string{"X-Hop,X-Only-Here \t, close"}, "Around the comma of a list may be spaces and tabs, or none (RFC 9110 §5.6.1)"},
		{"with_nothing_between_two_commas", []string{", ,,X-Hop,,", "", ",X-Only-Here"}, "A list may have elements that are empty (RFC 9110 §5.6.1.2): they name nothing, and the others count"},
	} {
		t.Run(row.name, func(t *testing.T) {
			src := header("Accept: text/html", "X-Hop: 1", "X-Only-Here: 2")
			src["Connection"] = row.lines
			dst := copied(t, http.Header{}, src)
			assert.Equal(t, "Accept: text/html", show(dst), "as in: src is %s. Only Accept goes on. %s", show(src), row.why)
		})
	}

	t.Run("though_it_never_should", func(t *testing.T) {
		for _, line := range []string{"Cache-Control: no-cache", "Authorization: Bearer x", "Content-Length: 1024", "Content-Type: text/plain", "Cookie: table=4", "Set-Cookie: table=4", "Via: 1.1 front"} {
			name, _, _ := strings.Cut(line, ": ")
			src := header("Accept: text/html", "Connection: "+name, line)
			dst := copied(t, http.Header{}, src)
			require.Equal(t, "Accept: text/html", show(dst), "as in: src is %s. Nobody should name %s there, since it is for all. But who does it anyhow is taken at his word: each field that is named is removed (RFC 9110 §7.6.1)", show(src), name)
		}
	})

	t.Run("though_proxies_write_such_a_field", func(t *testing.T) {
		src := header("Accept: text/html", "Connection: X-Forwarded-For", "X-Forwarded-For: 127.0.0.1")
		dst := copied(t, http.Header{}, src)
		assert.Equal(t, "Accept: text/html", show(dst), "as in: dst is empty, and src is %s. This X-Forwarded-For is the client's own, and the client has named it: it goes no further, as each field that is named (RFC 9110 §7.6.1). What the proxy has set is safe because dst holds it, not by its name", show(src))
	})

	t.Run("for_one_call_alone", func(t *testing.T) {
		first := header("Accept: text/html", "Connection: X-Once", "X-Once: 1")
		dst := copied(t, http.Header{}, first)
		require.Equal(t, "Accept: text/html", show(dst), "as in: src is %s. Only Accept goes on", show(first))
		second := header("Accept: text/html", "X-Once: 2")
		dst = copied(t, http.Header{}, second)
		assert.Equal(t, show(second), show(dst), "as in: Copy was called with src %s, and then, for another request, with src %s. What the first request named still counts for the second. Note the names in a variable of Copy's own: what belongs to the package is shared by all requests, and one client could take fields away from all others", show(first), show(second))
	})
}

func TestOwn(t *testing.T) {
	t.Run("is_left_as_it_is", func(t *testing.T) {
		dst := header("Via: 1.1 edge", "X-Forwarded-For: 192.0.2.7")
		src := header("Accept: text/html", "Via: 1.1 made-up", "X-Forwarded-For: 127.0.0.1")
		was := show(dst)
		copied(t, dst, src)
		assert.Equal(t, "Accept: text/html; Via: 1.1 edge; X-Forwarded-For: 192.0.2.7", show(dst), "as in: dst held %s, which the proxy has set, and src is %s. What dst holds stays as it is: beside it, a client's own X-Forwarded-For could be believed", was, show(src))
	})

	t.Run("survives_that_Connection_names_it", func(t *testing.T) {
		dst := header("X-Forwarded-For: 192.0.2.7")
		src := header("Accept: text/html", "Connection: close, X-Forwarded-For", "X-Forwarded-For: 127.0.0.1")
		was := show(dst)
		copied(t, dst, src)
		assert.Equal(t, "Accept: text/html; X-Forwarded-For: 192.0.2.7", show(dst), "as in: dst held %s, which the proxy has set, and src is %s. Connection takes away what src holds, and nothing else. Otherwise a client hides who it is by naming the proxy's fields (CVE-2022-31813 was that)", was, show(src))
	})

	t.Run("survives_on_the_list", func(t *testing.T) {
		dst := header("Connection: Upgrade", "TE: trailers", "Upgrade: websocket")
		src := header("Accept: text/html", "TE: gzip", "Connection: TE")
		was := show(dst)
		copied(t, dst, src)
		assert.Equal(t, "Accept: text/html; "+was, show(dst), "as in: dst held %s, and src is %s. What the proxy says to its next neighbour stays: only what the last one said ends here", was, show(src))
	})

	t.Run("counts_without_a_value", func(t *testing.T) {
		dst := http.Header{"User-Agent": nil}
		copied(t, dst, header("Accept: text/html", "User-Agent: made-up"))
		assert.Equal(t, "Accept: text/html", show(dst), `as in: dst["User-Agent"] is there and nil, and src is "Accept: text/html; User-Agent: made-up". A field without values is one that the proxy wants nobody to send: dst holds it, so it stays. Ask the map whether the key is there, dst.Get cannot tell`)
	})

	t.Run("is_all_there_is_if_src_is_nil", func(t *testing.T) {
		dst := copied(t, header("Via: 1.1 edge"), nil)
		assert.Equal(t, "Via: 1.1 edge", show(dst), "as in: src is nil, and dst held Via: 1.1 edge")
		copied(t, dst, header("Accept: text/html"))
		assert.Equal(t, "Accept: text/html; Via: 1.1 edge", show(dst), "as in: after src nil, Copy was called again with src Accept: text/html")
	})
}

func TestValues(t *testing.T) {
	t.Run("leave_src_unchanged", func(t *testing.T) {
		src := header("Accept: text/html", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5")
		was := show(src)
		dst := copied(t, http.Header{}, src)
		require.Equal(t, "Accept: text/html", show(dst), "as in: src is %s. Only Accept goes on", was)
		assert.Equal(t, was, show(src), "what src holds after Copy. It is only read: others may read it at the same time, such as a log, or the next attempt at another backend")
	})

	t.Run("are_the_same_for_src_when_dst_changes", func(t *testing.T) {
		src := header("Set-Cookie: table=4", "Set-Cookie: waiter=7", "Vary: Accept")
		was := show(src)
		dst := copied(t, http.Header{}, src)
		require.Equal(t, was, show(dst), "all of src goes on")
		dst["Set-Cookie"][0] += "; Secure"
		dst["Vary"][0] += ", Cookie"
		assert.Equal(t, was, show(src), `what src holds after dst["Set-Cookie"][0] and dst["Vary"][0] were changed. Both have the same slice, it seems. If src is a stored answer, everybody gets the change: copy the values (slices.Clone, or append to a slice of dst's own)`)
	})

	t.Run("are_the_same_for_dst_when_src_changes", func(t *testing.T) {
		src := header("Set-Cookie: table=4", "Set-Cookie: waiter=7", "Vary: Accept")
		was := show(src)
		dst := copied(t, http.Header{}, src)
		src["Set-Cookie"][0] += "; Secure"
		src["Vary"][0] += ", Cookie"
		assert.Equal(t, was, show(dst), `what dst holds after src["Set-Cookie"][0] and src["Vary"][0] were changed. Both have the same slice, it seems: copy the values`)
	})

	t.Run("have_room_of_their_own", func(t *testing.T) {
		src := header("A: 1", "B: 2", "C: 3", "D: 4", "E: 5")
		dst := copied(t, http.Header{}, src)
		for _, name := range []string{"A", "B", "C", "D", "E"} {
			dst.Add(name, "more")
		}
		assert.Equal(t, "A: 1; A: more; B: 2; B: more; C: 3; C: more; D: 4; D: more; E: 5; E: more", show(dst), `as in: src is %s, and after Copy each field of dst got a second value, "more", by Add. If the values of several fields stand in one array, each slice of it must end where its capacity ends (a[i:j:j]), or Add writes over the next field's`, show(src))
	})
}

// The second judge does nearly the same job for thousands of proxies. Here are no
// fields that it treats otherwise: Trailer, TE: trailers, Proxy-Authentication-Info.
func TestReverseProxy(t *testing.T) {
	table := []struct {
		name, why string
		lines     []string
	}{
		{"a page", "All of these go all the way",
			[]string{"Accept: text/html", "Accept-Encoding: gzip", "Cookie: a=1", "Cookie: b=2"}},
		{"all that is listed", "The list goes no further, and X-Menu does",
			[]string{"Connection: close", "Keep-Alive: timeout=5", "Proxy-Connection: close", "TE: gzip", "Transfer-Encoding: chunked", "Proxy-Authorization: x", "Proxy-Authenticate: x", "X-Menu: today"}},
		{"named ones", "X-A, X-B and X-C are named, in any case and on two lines, and X-D is not",
			[]string{"Connection: X-A, x-b", "Connection: ,X-C,", "X-A: 1", "X-B: 2", "X-C: 3", "X-D: 4"}},
		{"ones that never should", "Each field that is named goes no further, whichever it is",
			[]string{"Connection: Cache-Control, Etag, Via", "Cache-Control: private", "ETag: x", "Via: 1.1 a", "Age: 4"}},
		{"close", "close is a name as any other: a field of that name is named, and goes no further",
			[]string{"Connection: close", "Close: x", "X-D: 4"}},
		{"a part of a name", "X-Bill is only the beginning of the name that stands there: a field is named by its whole name",
			[]string{"Connection: X-Bill-To", "X-Bill: 1", "X-Bill-To: 2"}},
		{"a semicolon", "Between two commas stands one name. X-A;q=1 as a whole is none, so it names nothing: there are no parameters in Connection to cut off",
			[]string{"Connection: X-A;q=1, X-B", "X-A: 1", "X-B: 2"}},
		{"a space", "Between two commas stands one name. \"X-C X-D\" is none, so it names nothing: spaces do not part the elements of a list, commas do",
			[]string{"Connection: X-C X-D, X-E", "X-C: 1", "X-D: 2", "X-E: 3"}},
		{"quotes", "A name has no quotes, so this names nothing",
			[]string{"Connection: \"X-A\", X-B", "X-A: 1", "X-B: 2"}},
	}
	for i := range table {
		table[i].lines = append(table[i].lines, "User-Agent: test") // without it, ReverseProxy adds one
	}

	t.Run("agrees_on_requests", func(t *testing.T) {
		for _, row := range table {
			src := header(row.lines...)
			var want http.Header
			proxy := &httputil.ReverseProxy{
				Rewrite: func(*httputil.ProxyRequest) {},
				Transport: roundTrip(func(r *http.Request) *http.Response {
					want = r.Header.Clone()
					return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
				}),
			}
			in := httptest.NewRequest(http.MethodGet, "http://shop.test/", nil)
			in.Header = src.Clone()
			proxy.ServeHTTP(httptest.NewRecorder(), in)
			require.Equal(t, show(want), show(copied(t, http.Header{}, src)), "as in: %s, a request with %s. %s. httputil.ReverseProxy sends on what is wanted here", row.name, show(src), row.why)
		}
	})

	t.Run("agrees_on_answers", func(t *testing.T) {
		for _, row := range table {
			src := header(row.lines...)
			proxy := &httputil.ReverseProxy{
				Rewrite: func(*httputil.ProxyRequest) {},
				Transport: roundTrip(func(*http.Request) *http.Response {
					return &http.Response{StatusCode: http.StatusOK, Header: src.Clone(), Body: io.NopCloser(strings.NewReader(""))}
				}),
			}
			out := httptest.NewRecorder()
			proxy.ServeHTTP(out, httptest.NewRequest(http.MethodGet, "http://shop.test/", nil))
			require.Equal(t, show(out.Header()), show(copied(t, http.Header{}, src)), "as in: %s, an answer with %s. %s. httputil.ReverseProxy sends on what is wanted here", row.name, show(src), row.why)
		}
	})
}

func TestCost(t *testing.T) {
	t.Run("stays_small_for_thousands_of_names", func(t *testing.T) {
		const many = 30_000
		src := make(http.Header, many+2)
		var names []string
		for i := range many {
			src[fmt.Sprintf("X%05d", i)] = []string{""}
			names = append(names, fmt.Sprintf("Y%05d", i))
		}
		src["Connection"] = []string{strings.Join(names, ",") + ",Z"}
		src["Z"] = []string{""}
		dst := http.Header{}
		within(t, fmt.Sprintf("as in: Connection names %d fields, and the header holds %d others; they fit into the megabyte that net/http takes. A program that compares each with each does so %d times for one request, and a few such requests stop the proxy. Look the names up in a map", many, many, many*many), func() {
			hopbyhop.Copy(dst, src)
		})
		assert.NotContains(t, dst, "Z", "as in: Connection names %d fields, and behind them Z, which the header holds. Each field that is named goes no further, however many there are (RFC 9110 §7.6.1)", many)
		delete(dst, "Z")
		assert.Len(t, dst, many, "as in: Connection names %d fields, and the header holds %d others. All of these go on", many, many)
	})
}

func BenchmarkCopy(b *testing.B) {
	for name, lines := range map[string][]string{
		"request": {"Accept: text/html", "Accept-Encoding: gzip, br", "Accept-Language: en", "Connection: keep-alive", "Cookie: table=4", "User-Agent: click"},
		"answer":  {"Cache-Control: max-age=60", "Content-Length: 1024", "Content-Type: application/json", "Date: Sat, 01 Aug 2026 12:00:00 GMT", "Etag: \"7\"", "Vary: Accept-Encoding"},
		"named":   {"Accept: text/html", "Connection: X-Hop, close", "X-Hop: 1", "Cookie: table=4"},
	} {
		b.Run(name, func(b *testing.B) {
			src, dst := header(lines...), make(http.Header, 16)
			b.ReportAllocs()
			for b.Loop() {
				clear(dst)
				hopbyhop.Copy(dst, src)
			}
		})
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// header has these lines.
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// show is h on one line, sorted by name.
func show(h http.Header) string {
	var b bytes.Buffer
	_ = h.Write(&b) // into memory
	return strings.Join(strings.Split(strings.TrimSuffix(b.String(), "\r\n"), "\r\n"), "; ")
}

// copied is dst after Copy, which must come back.
func copied(t *testing.T, dst, src http.Header) http.Header {
	t.Helper()
	within(t, "as in: src is "+show(src), func() { hopbyhop.Copy(dst, src) })
	return dst
}

// within fails unless f returns soon, and without a panic.
func within(t *testing.T, input string, f func()) {
	t.Helper()
	done := make(chan string, 1)
	go func() {
		fault := ""
		defer func() {
			if p := recover(); p != nil {
				fault = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
			}
			done <- fault
		}()
		f()
	}()
	for range 100 { // a second of this program: the time that a busy machine stands still does not count
		select {
		case fault := <-done:
			require.Empty(t, fault, "%s. Copy must not panic: the request would die with it", input)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.FailNow(t, "Copy has not returned after a second", input)
}
