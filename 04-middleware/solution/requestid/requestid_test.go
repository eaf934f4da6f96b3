package requestid_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/request"
	"clicktocode.example/04-middleware/solution/requestid"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// sane is the rule once more, told by a regular expression.
var sane = regexp.MustCompile(`\A[A-Za-z0-9._~-]{1,64}\z`)

const uuid = "0198c1a4-7f3e-7b52-9c41-5d2f0e8a6b17"

var longest = strings.Repeat("0123456789abcdef", 4)

func TestSane(t *testing.T) {
	t.Run("takes_the_ids_that_others_make", func(t *testing.T) {
		for _, id := range []string{
			"7",
			uuid,
			"01K30T8ZSYFD9C853F1VGWM5RQ", // a ULID
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", // a traceparent
			"edge_2~7.f",
			longest,
		} {
			requireSane(t, id, true, "its octets are letters, digits, and - . _ ~, and there are no more than 64 of them")
		}
	})

	t.Run("refuses_one_of_no_octets", func(t *testing.T) {
		requireSane(t, "7", true, "one octet is enough")
		requireSane(t, "", false, "an empty ID names nothing")
	})

	t.Run("refuses_one_that_is_too_long", func(t *testing.T) {
		requireSane(t, longest, true, "64 octets are the most that it may have")
		requireSane(t, longest+"0", false, "65 octets are one too many")
		requireSane(t, strings.Repeat("a", 1<<20), false, "it would stand in every line that is written about the request")
	})

	t.Run("refuses_one_that_forges_a_line_of_the_log", func(t *testing.T) {
		for _, hostile := range []string{
			"7\nlevel=INFO msg=paid", "7\rpaid", "7 subject=ada", "7\tpaid", `7" level="INFO`, "7,paid", "7\x00", "7\x1b[2J", "7\x7f",
		} {
			requireSane(t, strings.Map(keep, hostile), true, "it holds nothing but letters and digits")
			requireSane(t, hostile, false, "in a log it would look as if we had written it: line ends, spaces, quotes, commas and control characters are not on the list")
		}
	})

	t.Run("refuses_one_that_means_something_elsewhere", func(t *testing.T) {
		for _, hostile := range []string{
			"<script>", "7;rm", "$(id)", "../7", "7?x=1", "7%0a", "7:8", "a@b", "*", "a+b", "a=", "7'", `7\`, "{7}", "7|", "`7`", "7#", "7&8", "7^", "[7]",
		} {
			requireSane(t, strings.Map(keep, hostile)+"7", true, "it holds nothing but letters and digits")
			requireSane(t, hostile, false, "in a page, a shell, a URI or a search it would mean something: only letters, digits, and - . _ ~ are on the list")
		}
	})

	t.Run("refuses_letters_beyond_ascii", func(t *testing.T) {
		requireSane(t, "cafe", true, "its letters are those of ASCII")
		for _, id := range []string{"café", "саfе", "7\u2028", "7\xff", "\x80", "\u0661"} {
			requireSane(t, id, false, "some of its octets are above 0x7F: they look like others, or are no text at all. (unicode.IsLetter and IsDigit know thousands)")
		}
	})

	t.Run("looks_at_every_octet", func(t *testing.T) {
		for b := range 256 {
			octet := string([]byte{byte(b)})
			for _, id := range []string{octet + "zz", "z" + octet + "z", "zz" + octet} {
				requireSane(t, id, sane.MatchString(id), "each octet counts, the first, the last and those between: letters, digits, and - . _ ~ are sane, and no other")
			}
		}
	})
}

func TestNew(t *testing.T) {
	t.Run("names_a_request_that_has_no_name", func(t *testing.T) {
		door := newDoor(t, requestid.Config{})
		for range 64 { // of what is random, one is no proof
			seen := door.send(t)
			require.Regexp(t, sane, seen.noted, "a request came without an ID, and the handlers behind found %q by request.ID(c.Request.Context()). They must find a new one, of 1 to 64 letters, digits, and - . _ ~. (request.Note replaces the request's context. Base64 has + and / in its alphabet, and = at the end)", seen.noted)
		}
	})

	t.Run("keeps_a_sane_name", func(t *testing.T) {
		for _, id := range []string{uuid, "7", longest} {
			seen := newDoor(t, requestid.Config{}).send(t, id)
			require.Equal(t, id, seen.noted, "a request came with X-Request-ID: %s. That is sane, so it is kept: the edge, or whoever sent it, has written it into a log already", id)
		}
	})

	t.Run("tells_the_client_the_same_name", func(t *testing.T) {
		for _, sent := range [][]string{nil, {uuid}, {"two words"}} {
			seen := newDoor(t, requestid.Config{}).send(t, sent...)
			require.NotEmpty(t, seen.noted, "no ID is in the context: request.ID(c.Request.Context()) is empty")
			require.Equal(t, []string{seen.noted}, seen.answered, "a request came with X-Request-ID %q. Wanted: one X-Request-ID in the answer, with the ID that is in the context. A client that asks about its request gives this one", sent)
		}
	})

	t.Run("tells_the_client_before_the_others_answer", func(t *testing.T) {
		door := newDoor(t, requestid.Config{})
		door.handle = func(c *gin.Context) {
			c.String(http.StatusTeapot, "no")
			c.Abort()
		}
		seen := door.send(t)
		require.Equal(t, []string{seen.noted}, seen.answered, "a handler behind answered, and aborted. Wanted: the ID %q in the answer's X-Request-ID. It has to be set before the handlers behind are called: a header that has been sent is sent", seen.noted)
		require.NotEmpty(t, seen.noted, "and request.ID(c.Request.Context()) must find the ID")
	})

	t.Run("replaces_a_hostile_name", func(t *testing.T) {
		for _, hostile := range []string{`7" level=ERROR msg="refunded`, "<script>alert(7)</script>", "7 8", "7\xff", "", strings.Repeat("a", 65), strings.Repeat("a", 1<<20)} {
			seen := newDoor(t, requestid.Config{}).send(t, hostile)
			require.Regexp(t, sane, seen.noted, "a request came with X-Request-ID: %.80q (%d octets), and %.80q was noted. Such a one is replaced by a new one: it goes into logs and searches as it is", hostile, len(hostile), seen.noted)
		}
	})

	t.Run("does_not_mend_a_hostile_name", func(t *testing.T) {
		const hostile = "7 8 9"
		door := newDoor(t, requestid.Config{})
		first, second := door.send(t, hostile), door.send(t, hostile)
		require.NotEmpty(t, first.noted, "no ID is in the context")
		require.NotEqual(t, first.noted, second.noted, "two requests came with X-Request-ID: %q, and both are now called the same. Each must get a new one: what is cut out of a hostile ID names nothing that anybody else wrote down", hostile)
	})

	t.Run("replaces_a_name_that_came_twice", func(t *testing.T) {
		for _, sent := range [][]string{{"first", "second"}, {"same", "same"}} {
			seen := newDoor(t, requestid.Config{}).send(t, sent...)
			require.Regexp(t, sane, seen.noted, "no sane ID is in the context")
			require.NotContains(t, sent, seen.noted, "a request came with two lines of X-Request-ID, %q, and one of them was kept. Who else reads this request may take the other one: with several lines it has no name, and gets a new one. (Header.Get sees the first alone)", sent)
		}
	})

	t.Run("makes_each_name_once", func(t *testing.T) {
		const each = 500
		seen := make(map[string]string)
		for _, replica := range []string{"one", "another"} {
			door := newDoor(t, requestid.Config{})
			for n := range each {
				id, who := door.send(t).noted, fmt.Sprintf("request %d to %s replica", n+1, replica)
				require.NotEmpty(t, id, "%s has no ID", who)
				require.NotContains(t, seen, id, "%s is called %q, and so was the %s. Each New here stands for a replica of its own: no two requests have the same name, wherever they arrive", who, id, seen[id])
				seen[id] = who
			}
		}
	})

	t.Run("makes_names_that_nobody_can_guess", func(t *testing.T) {
		ids := make([]string, 256)
		door := newDoor(t, requestid.Config{})
		for i := range ids {
			ids[i] = door.send(t).noted
		}
		bits := randomBits(ids)
		require.Greater(t, bits, 60.0, "%d IDs were made in a row: %q, %q, %q … All that changes from one to the next amounts to about %.0f bits. 64 random ones are wanted: who knows one ID could guess others, or two replicas hit on the same. (crypto/rand has a function that returns a text)",
			len(ids), ids[0], ids[1], ids[2], bits)
	})

	t.Run("keeps_the_context_that_the_request_came_with", func(t *testing.T) {
		ctx, leave := context.WithCancel(request.WithPrincipal(t.Context(), &request.Principal{Subject: "ada"}))
		defer leave()
		door := newDoor(t, requestid.Config{})
		door.ctx = ctx
		var who *request.Principal
		var left error
		door.handle = func(c *gin.Context) {
			leave()
			who, left = request.From(c.Request.Context()), c.Request.Context().Err()
		}
		seen := door.send(t)
		require.NotEmpty(t, seen.noted, "no ID is in the context")
		require.NotNil(t, who, "who makes the request was noted in the context that it came with, and the handlers behind do not find it. The new context must be made from that one, c.Request.Context()")
		require.ErrorIs(t, left, context.Canceled, "the client left while the handlers behind were at work, and the context that they have does not say so: they go on for nobody. It must be made from c.Request.Context(), which ends then. (gin's own c passes for a context, and never ends)")
	})

	t.Run("leaves_the_request's_header_as_it_came", func(t *testing.T) {
		for _, sent := range [][]string{nil, {uuid}, {"two words"}, {"first", "second"}} {
			door := newDoor(t, requestid.Config{})
			var found []string
			door.handle = func(c *gin.Context) { found = c.Request.Header["X-Request-Id"] }
			seen := door.send(t, sent...)
			require.NotEmpty(t, seen.noted, "no ID is in the context")
			require.Equal(t, sent, found, "a request came with X-Request-ID %q, and the handlers behind find another field in it. What the client wrote stays what the client wrote: the ID is asked for by request.ID, and is told in the answer's header", sent)
		}
	})

	t.Run("uses_the_field_that_it_is_told_to", func(t *testing.T) {
		door := newDoor(t, requestid.Config{Header: "x-correlation-id"})
		door.header = "X-Correlation-Id"
		seen := door.send(t, uuid)
		require.Equal(t, uuid, seen.noted, "Config.Header is x-correlation-id, and a request came with X-Correlation-Id: %s. In the context is another ID", uuid)
		require.Equal(t, []string{uuid}, seen.answered, "Config.Header is x-correlation-id: that field of the answer holds the ID")
	})

	t.Run("knows_no_field_but_that", func(t *testing.T) {
		door := newDoor(t, requestid.Config{Header: "x-correlation-id"})
		seen := door.send(t, uuid) // in X-Request-ID
		require.Regexp(t, sane, seen.noted, "no sane ID is in the context")
		require.NotEqual(t, uuid, seen.noted, "Config.Header is x-correlation-id, and a request came with X-Request-ID: %s, which was kept. Those in front set, or strike out, the field that is configured: any other one is whatever a stranger has written there", uuid)
		require.Empty(t, seen.answered, "Config.Header is x-correlation-id, and the answer has an X-Request-ID as well: only the field that is configured")
	})
}

// A Config is checked before anything else: that part is given.
//
//workshop:guard TestConfig/...
func TestConfig(t *testing.T) {
	t.Run("refuses_what_is_no_field_name", func(t *testing.T) {
		for _, header := range []string{"X Request ID", "X-Request-ID:", "X-Request\n", "é"} {
			_, err := requestid.New(requestid.Config{Header: header})
			require.ErrorContains(t, err, fmt.Sprintf("%q", header), "such a field cannot be sent: RFC 9110 §5.1")
		}
		_, err := requestid.New(requestid.Config{Header: "X-Amzn-RequestId"})
		require.NoError(t, err)
	})
}

// door is a gin engine with the handler under test in front.
type door struct {
	engine *gin.Engine
	header string          // the field that is sent and read
	ctx    context.Context // that the requests come with
	handle gin.HandlerFunc // stands behind, and answers
	noted  string
}

// seen is what the handlers behind and the client have seen.
type seen struct {
	noted    string
	answered []string
}

func newDoor(t *testing.T, c requestid.Config) *door {
	t.Helper()
	handler, err := requestid.New(c)
	require.NoError(t, err)
	d := &door{engine: gin.New(), header: "X-Request-Id", ctx: t.Context(), handle: func(*gin.Context) {}}
	d.engine.Use(handler)
	d.engine.GET("/menu", func(c *gin.Context) {
		d.noted = request.ID(c.Request.Context())
		d.handle(c)
	})
	return d
}

// send sends a request with these lines of the field.
func (d *door) send(t *testing.T, lines ...string) seen {
	t.Helper()
	req := httptest.NewRequestWithContext(d.ctx, http.MethodGet, "/menu", nil)
	if len(lines) > 0 {
		req.Header[d.header] = lines
	}
	d.noted = ""
	rec := httptest.NewRecorder()
	finish(t, "the handler", func() { d.engine.ServeHTTP(rec, req) })
	return seen{noted: d.noted, answered: rec.Result().Header[d.header]}
}

// requireSane asserts what Sane says of id.
func requireSane(t *testing.T, id string, want bool, why string) {
	t.Helper()
	var got bool
	finish(t, "Sane", func() { got = requestid.Sane(id) })
	if got != want {
		require.Failf(t, "Sane is of another opinion", "Sane(%.80q) is %v (length %d)\nwanted %v: %s", id, got, len(id), want, why)
	}
}

// keep drops all but letters and digits.
func keep(r rune) rune {
	if r < 0x80 && sane.MatchString(string(r)) && !strings.ContainsRune("-._~", r) {
		return r
	}
	return -1
}

// randomBits estimates how many bits of the IDs change at random: the Shannon
// entropy of what stands in each place, summed up.
func randomBits(ids []string) (bits float64) {
	for place := range 128 {
		count := make(map[byte]float64)
		for _, id := range ids {
			if place < len(id) {
				count[id[place]]++
			}
		}
		for _, n := range count {
			p := n / float64(len(ids))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// finish calls f, which has two seconds to return, and must not panic.
func finish(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	timeout := time.NewTimer(2 * time.Second)
	defer timeout.Stop()
	select {
	case p := <-done:
		require.Nil(t, p, "%s panicked", what)
	case <-timeout.C:
		require.Failf(t, "stuck", "%s has not returned after two seconds: is there a loop without an end?", what)
	}
}

func BenchmarkNew(b *testing.B) {
	handler, err := requestid.New(requestid.Config{})
	if err != nil {
		b.Fatal(err)
	}
	bare, named := gin.New(), gin.New()
	named.Use(handler)
	for _, engine := range []*gin.Engine{bare, named} {
		engine.GET("/menu", func(*gin.Context) {})
	}
	for _, bench := range []struct {
		name   string
		engine *gin.Engine
		id     string
	}{{"bare", bare, ""}, {"kept", named, uuid}, {"made", named, ""}} {
		b.Run(bench.name, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodGet, "/menu", nil)
			if bench.id != "" {
				req.Header.Set("X-Request-ID", bench.id)
			}
			w := discard{}
			b.ReportAllocs()
			for b.Loop() {
				clear(w)
				bench.engine.ServeHTTP(w, req)
			}
		})
	}
}

// discard is a ResponseWriter that costs nothing.
type discard http.Header

func (d discard) Header() http.Header         { return http.Header(d) }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
