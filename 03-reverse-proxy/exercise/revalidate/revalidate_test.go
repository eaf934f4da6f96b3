package revalidate_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/03-reverse-proxy/exercise/revalidate"
	"clicktocode.example/03-reverse-proxy/httpcache"
)

const (
	monday  = "Mon, 05 Jan 2026 08:00:00 GMT"
	tuesday = "Tue, 06 Jan 2026 08:00:00 GMT"
)

var (
	requested = time.Date(2026, 1, 7, 8, 0, 0, 0, time.UTC) // a Wednesday
	received  = requested.Add(1200 * time.Millisecond)
)

func TestAsk(t *testing.T) {
	t.Run("asks_with_the_ETag", func(t *testing.T) {
		for _, etag := range []string{`"7"`, `W/"7"`, `"a,b"`} {
			out := ask(t, request("GET"), stored("ETag", etag))
			require.Equal(t, []string{etag}, out.Header.Values("If-None-Match"), "If-None-Match of the copy, where the stored response has ETag: %s. It is sent back as it came, a weak one with its W/ (RFC 9111 §4.3.1)", etag)
		}
	})

	t.Run("asks_with_Last-Modified", func(t *testing.T) {
		for _, date := range []string{monday, "Monday, 05-Jan-26 08:00:00 GMT"} {
			out := ask(t, request("GET"), stored("Last-Modified", date))
			require.Equal(t, []string{date}, out.Header.Values("If-Modified-Since"), "If-Modified-Since of the copy, where the stored response has Last-Modified: %s. It is sent back as it came: many origins only look whether it is the same text (RFC 9111 §4.3.1)", date)
		}
	})

	t.Run("asks_with_both", func(t *testing.T) {
		out := ask(t, request("GET"), stored("ETag", `"7"`, "Last-Modified", monday))
		assert.Equal(t, `"7" `+monday, out.Header.Get("If-None-Match")+" "+out.Header.Get("If-Modified-Since"), "If-None-Match and If-Modified-Since of the copy, where the stored response has both ETag and Last-Modified: an origin that knows no ETag looks at the date")
	})

	t.Run("replaces_the_condition_of_the_client", func(t *testing.T) {
		r := request("GET", "If-None-Match", `"6"`, "If-Modified-Since", tuesday)
		out := ask(t, r, stored("ETag", `"7"`, "Last-Modified", monday))
		require.Equal(t, []string{`"7"`}, out.Header.Values("If-None-Match"), `If-None-Match of the copy, where the client sent "6", which is its own copy, and "7" is stored. If the origin were asked about "6", its 304 would say nothing about what is stored`)
		require.Equal(t, []string{monday}, out.Header.Values("If-Modified-Since"), "If-Modified-Since of the copy, where the client sent Tuesday, which is its own copy, and Last-Modified of what is stored is Monday")
	})

	t.Run("drops_conditions_that_it_does_not_replace", func(t *testing.T) {
		for _, field := range [][2]string{
			{"If-Modified-Since", tuesday}, {"If-Match", `"6"`}, {"If-Unmodified-Since", tuesday},
		} {
			out := ask(t, request("GET", field[0], field[1]), stored("ETag", `"7"`))
			require.Empty(t, out.Header.Values(field[0]), "%s of the copy, where the client sent %s: it is about what the client has, and the cache asks about what is stored. As a 304 or a 412, the answer would be of no use", field[0], field[1])
			require.Equal(t, `"7"`, out.Header.Get("If-None-Match"), `If-None-Match of the copy: the stored response has ETag: "7"`)
		}
	})

	t.Run("asks_for_all_of_the_content", func(t *testing.T) {
		for _, field := range [][2]string{{"Range", "bytes=0-99"}, {"If-Range", `"6"`}} {
			out := ask(t, request("GET", field[0], field[1]), stored("ETag", `"7"`))
			require.Empty(t, out.Header.Values(field[0]), "%s of the copy, where the client sent %s: if there is a new version, the cache wants to store all of it, and not the part that this client has yet to get", field[0], field[1])
			require.Equal(t, `"7"`, out.Header.Get("If-None-Match"), `If-None-Match of the copy: the stored response has ETag: "7"`)
		}
	})

	t.Run("asks_without_a_condition_if_it_has_none", func(t *testing.T) {
		out := ask(t, request("GET", "If-None-Match", `"6"`), stored())
		assert.Empty(t, out.Header.Values("If-None-Match"), `If-None-Match of the copy, where the client sent "6", and the stored response has neither ETag nor Last-Modified: there is nothing to ask about, so the content has to come`)
	})

	t.Run("does_not_send_an_ETag_that_is_none", func(t *testing.T) {
		for _, etag := range []string{`*`, `7`, `"6", "7"`, `"7`, `w/"7"`} {
			out := ask(t, request("GET"), stored("ETag", etag, "Last-Modified", monday))
			require.Empty(t, out.Header.Values("If-None-Match"), `If-None-Match of the copy, where the stored response has ETag: %s. That is no entity-tag, which has quotes round it, and W/ at most before them (RFC 9110 §8.8.3); as a condition, "*" or a list would ask something else`, etag)
			require.Equal(t, monday, out.Header.Get("If-Modified-Since"), "If-Modified-Since of the copy, where the stored response has ETag: %s, which is no entity-tag, and Last-Modified: %s", etag, monday)
		}
	})

	t.Run("keeps_all_else", func(t *testing.T) {
		r := request("HEAD", "Accept-Language", "de", "Cookie", "table=4")
		r.URL.Scheme, r.URL.Host, r.Host = "", "", "shop.test:8443" // as a server has it
		r.Body = io.NopCloser(strings.NewReader("no onions"))
		r = r.WithContext(context.WithValue(t.Context(), tableKey{}, 4))
		out := ask(t, r, stored("ETag", `"7"`))
		require.Equal(t, `"7"`, out.Header.Get("If-None-Match"), `If-None-Match of the copy: the stored response has ETag: "7"`)
		require.Equal(t, "de table=4", out.Header.Get("Accept-Language")+" "+out.Header.Get("Cookie"), "Accept-Language and Cookie of the copy are those of the request: what comes may depend on them")
		require.Equal(t, "HEAD /menu shop.test:8443", fmt.Sprint(out.Method, " ", out.URL, " ", out.Host), "method, URL and host of the copy are those of the request")
		require.Equal(t, r.RemoteAddr, out.RemoteAddr, "RemoteAddr of the copy is that of the request: who it comes from is told to the backend. http.NewRequest makes a new request, without it; r.Clone copies all that r has")
		require.Equal(t, 4, out.Context().Value(tableKey{}), "the context of the copy is that of the request")
		require.NotNil(t, out.Body, "the body of the copy is that of the request")
		body, err := io.ReadAll(out.Body)
		require.NoError(t, err, "what reading the body of the copy came to")
		require.Equal(t, "no onions", string(body), "the body of the copy is that of the request")
	})

	t.Run("does_not_change_the_request", func(t *testing.T) {
		r := request("GET", "If-None-Match", `"6"`, "Range", "bytes=0-99")
		was := r.Header.Clone()
		out := ask(t, r, stored("ETag", `"7"`, "Last-Modified", monday))
		require.Equal(t, `"7"`, out.Header.Get("If-None-Match"), `If-None-Match of the copy: the stored response has ETag: "7"`)
		assert.Equal(t, was, r.Header, "the header of the client's request, after Ask: it must be as it was, since NotModified looks at it when the answer is there. A copy made by *r has the same header: a map is shared. r.Clone copies it, too")
	})
}

func TestFreshen(t *testing.T) {
	t.Run("takes_what_the_304_says", func(t *testing.T) {
		got := freshen(t, stored("ETag", `"7"`, "Cache-Control", "max-age=5"), "ETag", `"7"`, "Cache-Control", "max-age=60")
		assert.Equal(t, []string{"max-age=60"}, got.Header.Values("Cache-Control"), "Cache-Control of the result, where max-age=5 is stored, and the 304 says max-age=60: the 304's takes its place (RFC 9111 §3.2)")
	})

	t.Run("keeps_what_the_304_does_not_have", func(t *testing.T) {
		got := freshen(t, stored("ETag", `"7"`, "Content-Type", "application/json"), "ETag", `"7"`)
		assert.Equal(t, "application/json", got.Header.Get("Content-Type"), "Content-Type of the result, where application/json is stored, and the 304 has none: a 304 has only some of the fields, and the others stay (RFC 9111 §3.2)")
	})

	t.Run("takes_a_new_field", func(t *testing.T) {
		got := freshen(t, stored("ETag", `"7"`), "ETag", `"7"`, "Content-Security-Policy", "default-src 'self'")
		assert.Equal(t, "default-src 'self'", got.Header.Get("Content-Security-Policy"), "Content-Security-Policy of the result, where none is stored, and the 304 has one: it is added (RFC 9111 §3.2). That its name begins with Content- means nothing")
	})

	t.Run("replaces_all_lines_of_a_field", func(t *testing.T) {
		got := freshen(t, stored("ETag", `"7"`, "Link", "</a>", "Link", "</b>", "Vary", "Accept"), "ETag", `"7"`, "Link", "</c>", "Vary", "Accept", "Vary", "Origin")
		require.Equal(t, []string{"</c>"}, got.Header.Values("Link"), "Link of the result, where two lines are stored, and the 304 has the one line </c>: that takes the place of both")
		require.Equal(t, []string{"Accept", "Origin"}, got.Header.Values("Vary"), "Vary of the result, where one line is stored, and the 304 has the two lines Accept and Origin: both are taken")
	})

	t.Run("has_the_times_of_the_304", func(t *testing.T) {
		s := stored("ETag", `"7"`)
		s.Requested, s.Received = requested.Add(-time.Hour), received.Add(-time.Hour)
		got := freshen(t, s, "ETag", `"7"`)
		require.Equal(t, requested, got.Requested, "Requested of the result: when the request was sent that confirmed it. Its age is counted from there, so with the old time it would be as stale as before (RFC 9111 §4.2.3)")
		require.Equal(t, received, got.Received, "Received of the result: when the 304 came (RFC 9111 §4.2.3)")
	})

	t.Run("keeps_the_status_and_the_body", func(t *testing.T) {
		s := status(http.StatusNonAuthoritativeInfo, "ETag", `"7"`)
		got := freshen(t, s, "ETag", `"7"`)
		require.Equal(t, http.StatusNonAuthoritativeInfo, got.Status, "status of the result, where 203 is stored: that stays. The 304 was said to the cache, and is over")
		require.Same(t, s.Body, got.Body, "body of the result: that which is stored. A 304 has no content, it says that this is the right one")
	})

	t.Run("does_not_change_the_stored_one", func(t *testing.T) {
		s := stored("ETag", `"7"`, "Cache-Control", "max-age=5", "Age", "3")
		was, then := s.Header.Clone(), s.Requested
		got := freshen(t, s, "ETag", `"7"`, "Cache-Control", "max-age=60")
		require.NotSame(t, s, got, "the result is the stored response itself. Others are reading that at this moment: make another")
		require.Equal(t, was, s.Header, "the header of the stored response, after Freshen: it must be as it was, for others are reading it at this moment. The result needs a map of its own")
		require.Equal(t, then, s.Requested, "Requested of the stored response, after Freshen: it must be as it was")
	})

	t.Run("does_not_change_the_header_of_the_304", func(t *testing.T) {
		h := header("ETag", `"7"`, "Cache-Control", "max-age=60", "Content-Length", "0", "Content-Encoding", "br")
		was := h.Clone()
		got := freshenBy(t, stored("ETag", `"7"`, "Age", "3"), h)
		require.Equal(t, "max-age=60", got.Header.Get("Cache-Control"), "Cache-Control of the result: the 304's")
		assert.Equal(t, was, h, "the header of the 304, after Freshen: it must be as it was, for it is the caller's, who may still send it on or write it to a log. What the result shall not have, delete from the result")
	})

	t.Run("shares_no_values", func(t *testing.T) {
		s := stored("ETag", `"7"`, "Link", "</a>")
		h := header("ETag", `"7"`, "Cache-Control", "max-age=60")
		got := freshenBy(t, s, h)
		require.Equal(t, "</a> max-age=60", got.Header.Get("Link")+" "+got.Header.Get("Cache-Control"), "Link, which is stored, and Cache-Control, which the 304 has, in the result")
		got.Header["Link"][0], got.Header["Cache-Control"][0] = "changed", "changed"
		require.Equal(t, "</a>", s.Header.Get("Link"), "Link of the stored response, after somebody wrote into the values of the result's: a header holds slices, and to copy the map alone shares them. Clone the values, too")
		require.Equal(t, "max-age=60", h.Get("Cache-Control"), "Cache-Control of the 304's header, after somebody wrote into the values of the result's: clone the values, too")
	})

	t.Run("keeps_the_length_of_what_is_stored", func(t *testing.T) {
		got := freshen(t, stored("ETag", `"7"`, "Content-Length", "1234"), "ETag", `"7"`, "Content-Length", "0")
		assert.Equal(t, []string{"1234"}, got.Header.Values("Content-Length"), "Content-Length of the result, where 1234 is stored, and the 304 says 0: the stored bytes are as many as before. With the wrong length a client waits for what never comes, or takes the rest for another answer (RFC 9111 §3.2)")
	})

	t.Run("keeps_how_the_stored_bytes_are_coded", func(t *testing.T) {
		for _, field := range [][2]string{{"Content-Encoding", "gzip"}, {"Content-Range", "bytes 0-99/1234"}} {
			got := freshen(t, stored("ETag", `"7"`, "Cache-Control", "max-age=5"), "ETag", `"7"`, "Cache-Control", "max-age=60", field[0], field[1])
			require.Equal(t, "max-age=60", got.Header.Get("Cache-Control"), "Cache-Control of the result: the 304's")
			require.Empty(t, got.Header.Values(field[0]), "%s of the result, where none is stored, and the 304 says %s: the stored bytes are as they were, and that would make them something else (RFC 9111 §3.2)", field[0], field[1])
			for _, h := range []http.Header{header("ETag", `"7"`), header("ETag", `"7"`, field[0], "other")} {
				got = freshenBy(t, stored("ETag", `"7"`, field[0], field[1]), h)
				require.Equal(t, []string{field[1]}, got.Header.Values(field[0]), "%s of the result, where %s is stored, and the 304 has %q: the stored bytes are as they were, and without what is said of them nobody can read them (RFC 9111 §3.2)", field[0], field[1], h)
			}
		}
	})

	t.Run("takes_nothing_that_is_for_one_connection", func(t *testing.T) {
		for _, field := range [][2]string{{"Connection", "X-Hop, close"}, {"X-Hop", "1"}, {"Keep-Alive", "timeout=5"}, {"Proxy-Authenticate", "Basic"}} {
			got := freshen(t, stored("ETag", `"7"`, "Cache-Control", "max-age=5"), "ETag", `"7"`, "Cache-Control", "max-age=60",
				"Connection", "X-Hop, close", "X-Hop", "1", "Keep-Alive", "timeout=5", "Proxy-Authenticate", "Basic")
			require.Equal(t, "max-age=60", got.Header.Get("Cache-Control"), "Cache-Control of the result: the 304's")
			require.Empty(t, got.Header.Values(field[0]), `%s of the result, where none is stored, and the 304 says "%s", with "Connection: X-Hop, close": that is for the connection on which the 304 came, and is not stored (RFC 9111 §3.1)`, field[0], field[1])
		}
	})

	t.Run("is_no_older_than_the_304", func(t *testing.T) {
		got := freshen(t, stored("ETag", `"7"`, "Age", "500"), "ETag", `"7"`, "Age", "3")
		require.Equal(t, []string{"3"}, got.Header.Values("Age"), "Age of the result, where 500 is stored, and the 304 has 3: that is how old the news is")
		got = freshen(t, stored("ETag", `"7"`, "Age", "500"), "ETag", `"7"`)
		require.Empty(t, got.Header.Values("Age"), "Age of the result, where 500 is stored, and the 304 has none: it came straight from the origin. With the old Age, the result would be 500 s old as soon as it is made, and be asked for again and again (RFC 9111 §4.2.3)")
		got = freshen(t, stored("ETag", `"7"`, "Age", "500"), "ETag", `"7"`, "Age", "3", "Connection", "Age")
		require.Empty(t, got.Header.Values("Age"), "Age of the result, where 500 is stored, and the 304 has 3, which its Connection field names: it was meant for one hop (RFC 9110 §7.6.1), and the stored one does not come back in its place")
	})

	t.Run("has_a_date_that_is_no_older", func(t *testing.T) {
		got := freshen(t, stored("ETag", `"7"`, "Date", monday), "ETag", `"7"`, "Date", tuesday)
		require.Equal(t, []string{tuesday}, got.Header.Values("Date"), "Date of the result, where Monday is stored, and the 304 has Tuesday")
		got = freshen(t, stored("ETag", `"7"`, "Date", monday), "ETag", `"7"`)
		require.Equal(t, []string{"Wed, 07 Jan 2026 08:00:01 GMT"}, got.Header.Values("Date"), "Date of the result, where Monday is stored, and the 304, which came on Wednesday at 08:00:01.2, has none: whoever stores a message without Date adds the time when it came (RFC 9110 §6.6.1). By the old Date the result would be two days old")
		soon(t, "Freshen", func() {
			got = revalidate.Freshen(stored("ETag", `"7"`), header("ETag", `"7"`), requested, received.In(time.FixedZone("CET", 3600)))
		})
		require.NotNil(t, got, "Freshen returned nil, where what is stored and the 304 have the same ETag")
		require.Equal(t, []string{"Wed, 07 Jan 2026 08:00:01 GMT"}, got.Header.Values("Date"), "Date of the result, where the 304 has none, and the time received is 09:00:01 CET: a date in a header is in GMT, and http.TimeFormat writes GMT behind whatever time it is given (RFC 9110 §5.6.7)")
	})

	for _, tt := range []struct {
		name, why string
		stored, h []string
	}{
		{"takes_a_304_about_the_same_ETag", "that 304 is about what is stored", []string{"ETag", `"7"`}, []string{"ETag", `"7"`}},
		{"takes_a_304_about_the_same_weak_ETag", "that 304 is about what is stored", []string{"ETag", `W/"7"`}, []string{"ETag", `W/"7"`}},
		{"takes_a_weak_ETag_for_a_strong_one", "a weak ETag only has to be the same but for the W/", []string{"ETag", `"7"`}, []string{"ETag", `W/"7"`}},
		{"takes_a_304_about_the_same_date", "that 304 is about what is stored", []string{"Last-Modified", monday}, []string{"Last-Modified", monday}},
		{"takes_the_date_if_the_304_has_no_ETag", "the 304 has no ETag, so its date decides, and that is the same", []string{"ETag", `"7"`, "Last-Modified", monday}, []string{"Last-Modified", monday}},
		{"takes_the_ETag_before_the_date", "if there is an ETag it decides, and that is the same", []string{"ETag", `"7"`, "Last-Modified", monday}, []string{"ETag", `"7"`, "Last-Modified", tuesday}},
		{"takes_a_304_that_names_no_version", "the origin was asked about this one, so there is nothing else that its 304 could be about", []string{"ETag", `"7"`}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.NotNil(t, freshenAny(t, stored(tt.stored...), header(tt.h...)), "Freshen returned nil, where what is stored has %q, and the 304 %q: %s (RFC 9111 §4.3.4)", tt.stored, tt.h, tt.why)
		})
	}

	for _, tt := range []struct {
		name, why string
		stored, h []string
	}{
		{"refuses_a_304_about_another_ETag", "the origin has confirmed another version, whose content is not here", []string{"ETag", `"7"`}, []string{"ETag", `"8"`}},
		{"refuses_a_304_about_another_weak_ETag", "the origin has confirmed another version, whose content is not here", []string{"ETag", `W/"7"`}, []string{"ETag", `W/"8"`}},
		{"refuses_a_304_about_another_date", "the origin has confirmed another version, whose content is not here", []string{"Last-Modified", monday}, []string{"Last-Modified", tuesday}},
		{"refuses_a_304_about_another_ETag_of_the_same_date", "if there is an ETag it decides, since two versions may be of the same second", []string{"ETag", `"7"`, "Last-Modified", monday}, []string{"ETag", `"8"`, "Last-Modified", monday}},
		{"refuses_an_older_date", "the origin has gone back to an older version, whose content is not here", []string{"Last-Modified", tuesday}, []string{"Last-Modified", monday}},
		{"refuses_an_ETag_where_none_is_stored", "if the 304 has an ETag it decides, and the stored response must have the same. Which version it is, nobody said", []string{"Last-Modified", monday}, []string{"ETag", `"8"`, "Last-Modified", monday}},
		{"refuses_a_date_where_none_is_stored", "if the 304 has no ETag, its date decides, and the stored response must have the same. Which version it is by its date, nobody said", []string{"ETag", `"7"`}, []string{"Last-Modified", monday}},
		{"refuses_a_strong_ETag_for_a_weak_one", "a strong ETag vouches for each byte, a weak one never did: these may be other bytes, under a tag that says they are the same", []string{"ETag", `W/"7"`}, []string{"ETag", `"7"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NotNil(t, freshenAny(t, stored(tt.stored...), header(tt.stored...)), "Freshen returned nil, where what is stored and the 304 both have %q: that 304 is about what is stored", tt.stored)
			assert.Nil(t, freshenAny(t, stored(tt.stored...), header(tt.h...)), "Freshen's result, where what is stored has %q, and the 304 %q: %s. That 304 must not be used, which nil says (RFC 9111 §4.3.4)", tt.stored, tt.h, tt.why)
		})
	}
}

func TestNotModified(t *testing.T) {
	seven := stored("ETag", `"7"`, "Last-Modified", tuesday)
	for _, tt := range []struct {
		name, why string
		rows      []row
	}{
		{"the_client_has_this_ETag", "If-None-Match names the copy that the client has (RFC 9110 §13.1.2)", []row{
			{fields: []string{"If-None-Match", `"7"`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `"6"`}, stored: seven},
		}},
		{"the_client_has_several", "If-None-Match is a list of all the copies that the client has, in one line or in many (RFC 9110 §13.1.2)", []row{
			{fields: []string{"If-None-Match", `"6", "7"`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `"6","7" , "8"`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `,"6",, "7"`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `"6"`, "If-None-Match", `"7"`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", "", "If-None-Match", `"7"`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `"6", "8"`}, stored: seven},
		}},
		{"a_weak_ETag_is_as_good", "If-None-Match is compared weakly, W/ makes no difference: the client may use the copy that it has if it means the same (RFC 9110 §8.8.3.2, §13.1.2)", []row{
			{fields: []string{"If-None-Match", `W/"7"`}, stored: stored("ETag", `W/"7"`), want: true},
			{fields: []string{"If-None-Match", `W/"7"`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `"7"`}, stored: stored("ETag", `W/"7"`), want: true},
			{fields: []string{"If-None-Match", `W/"6"`}, stored: stored("ETag", `W/"7"`)},
		}},
		{"a_comma_may_be_part_of_an_ETag", "what stands in quotes belongs to the tag, a comma and W/ too (RFC 9110 §8.8.3)", []row{
			{fields: []string{"If-None-Match", `"6", "a,b"`}, stored: stored("ETag", `"a,b"`), want: true},
			{fields: []string{"If-None-Match", `"7,8"`}, stored: seven},
			{fields: []string{"If-None-Match", `"W/7"`}, stored: seven},
			{fields: []string{"If-None-Match", `"77"`}, stored: seven},
		}},
		{"a_star_is_any_copy", "If-None-Match: * is met by nothing but the absence of anything (RFC 9110 §13.1.2)", []row{
			{fields: []string{"If-None-Match", `*`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `*`}, stored: stored(), want: true},
			{fields: []string{"If-None-Match", `"*"`}, stored: seven},
		}},
		{"nothing_was_modified_since", "If-Modified-Since is the time of the copy that the client has, and Last-Modified that of what is stored (RFC 9110 §13.1.3)", []row{
			{fields: []string{"If-Modified-Since", tuesday}, stored: seven, want: true},
			{fields: []string{"If-Modified-Since", "Wed, 07 Jan 2026 08:00:00 GMT"}, stored: seven, want: true},
			{fields: []string{"If-Modified-Since", monday}, stored: seven},
			{fields: []string{"If-Modified-Since", tuesday}, stored: stored("Last-Modified", "Tuesday, 06-Jan-26 08:00:00 GMT"), want: true},
			{fields: []string{"If-Modified-Since", tuesday}, stored: stored("Last-Modified", monday, "Date", "Wed, 07 Jan 2026 08:00:00 GMT"), want: true},
			{fields: []string{"If-Modified-Since", "yesterday"}, stored: seven},
		}},
		{"the_ETag_counts_alone", "if there is an If-None-Match, If-Modified-Since does not count: two versions may be of the same second (RFC 9110 §13.1.3)", []row{
			{fields: []string{"If-None-Match", `"7"`, "If-Modified-Since", monday}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `"6"`, "If-Modified-Since", tuesday}, stored: seven},
			{fields: []string{"If-None-Match", `"7"`, "If-Modified-Since", tuesday}, stored: stored("Last-Modified", tuesday)},
			{fields: []string{"If-None-Match", `7`, "If-Modified-Since", tuesday}, stored: seven},
		}},
		{"what_is_malformed_ends_the_list", "an entity-tag has quotes round it, and W/ at most before them; what was read before the fault counts (RFC 9110 §8.8.3)", []row{
			{fields: []string{"If-None-Match", `"7", 6`}, stored: seven, want: true},
			{fields: []string{"If-None-Match", `6, "7"`}, stored: seven},
			{fields: []string{"If-None-Match", `7`}, stored: seven},
			{fields: []string{"If-None-Match", `7`}, stored: stored("ETag", "7")},
			{fields: []string{"If-None-Match", `"7`}, stored: seven},
			{fields: []string{"If-None-Match", `w/"7"`}, stored: seven},
			{fields: []string{"If-None-Match", `W/`}, stored: seven},
		}},
		{"Date_stands_in_for_Last-Modified", "where Last-Modified is missing or no date, Date stands in for it (RFC 9111 §4.3.2)", []row{
			{fields: []string{"If-Modified-Since", tuesday}, stored: stored("Date", tuesday), want: true},
			{fields: []string{"If-Modified-Since", tuesday}, stored: stored("Date", tuesday, "Last-Modified", "monday"), want: true},
			{fields: []string{"If-Modified-Since", monday}, stored: stored("Date", tuesday)},
		}},
		{"the_time_received_stands_in_for_Date", "where Last-Modified and Date are missing or no dates, the time received stands in for them: here Wednesday, 08:00:01.2, and a date has no fractions of a second (RFC 9111 §4.3.2)", []row{
			{fields: []string{"If-Modified-Since", "Wed, 07 Jan 2026 08:00:01 GMT"}, stored: stored(), want: true},
			{fields: []string{"If-Modified-Since", "Wed, 07 Jan 2026 08:00:00 GMT"}, stored: stored()},
			{fields: []string{"If-Modified-Since", tuesday}, stored: stored("Date", "today")},
		}},
		{"only_GET_and_HEAD", "304 answers GET and HEAD; of anything else, a condition is for the origin to judge (RFC 9110 §13.2.2)", []row{
			{method: "HEAD", fields: []string{"If-None-Match", `"7"`}, stored: seven, want: true},
			{method: "POST", fields: []string{"If-None-Match", `"7"`}, stored: seven},
			{method: "PUT", fields: []string{"If-None-Match", `*`}, stored: seven},
			{method: "POST", fields: []string{"If-Modified-Since", tuesday}, stored: seven},
		}},
		{"only_instead_of_success", "a condition counts if the answer without it would be a 2xx (RFC 9110 §13.2.1): to the client, 304 means that its copy is good", []row{
			{fields: []string{"If-None-Match", `"7"`}, stored: status(203, "ETag", `"7"`), want: true},
			{fields: []string{"If-None-Match", `"7"`}, stored: status(204, "ETag", `"7"`), want: true},
			{fields: []string{"If-None-Match", `"7"`}, stored: status(404, "ETag", `"7"`)},
			{fields: []string{"If-Modified-Since", tuesday}, stored: status(404, "Last-Modified", tuesday)},
			{fields: []string{"If-None-Match", `*`}, stored: status(301)},
		}},
		{"nobody_gets_a_304_who_did_not_ask_for_it", "a client that sent no condition may have no copy at all (RFC 9110 §15.4.5)", []row{
			{fields: []string{"If-None-Match", `"7"`}, stored: seven, want: true},
			{stored: seven},
			{stored: stored()},
			{fields: []string{"If-Match", `"7"`}, stored: seven},
			{fields: []string{"If-Unmodified-Since", tuesday}, stored: seven},
			{fields: []string{"If-Range", `"7"`, "Range", "bytes=0-"}, stored: seven},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, row := range tt.rows {
				got := row.judge(t)
				require.Equal(t, row.want, got, "NotModified, as in: %s: %s", row, tt.why)
			}
		})
	}

	t.Run("is_what_net_http_says", func(t *testing.T) {
		for _, etag := range []string{"", `"7"`, `W/"7"`, `"a,b"`, `""`} {
			for _, inm := range []string{"", `"7"`, `W/"7"`, `"6", W/"7"`, `"6","8"`, `"a,b"`, `"a`, `*`, `""`, `"7" "8"`, `7`, `,`, "\t\"6\"\t,\t\"7\"\t"} {
				for _, ims := range []string{"", monday, tuesday, "Tuesday, 06-Jan-26 08:00:00 GMT", "Tue Jan  6 08:00:00 2026", "now"} {
					for _, method := range []string{"GET", "HEAD"} {
						r := row{method: method, stored: stored("Last-Modified", tuesday)}
						if etag != "" {
							r.stored.Header.Set("ETag", etag)
						}
						if inm != "" {
							r.fields = append(r.fields, "If-None-Match", inm)
						}
						if ims != "" {
							r.fields = append(r.fields, "If-Modified-Since", ims)
						}
						w := httptest.NewRecorder()
						w.Header()["Etag"] = r.stored.Header["Etag"]
						modified, _ := http.ParseTime(tuesday)
						http.ServeContent(w, r.request(), "menu.txt", modified, strings.NewReader("soup"))
						require.Equal(t, w.Code == http.StatusNotModified, r.judge(t), "NotModified, as in: %s. Asked the same, http.ServeContent answers %d", r, w.Code)
					}
				}
			}
		}
	})
}

// row is a request that meets a stored response.
type row struct {
	method string // GET if empty
	fields []string
	stored *httpcache.Response
	want   bool
}

func (r row) request() *http.Request { return request(r.method, r.fields...) }

func (r row) judge(t *testing.T) (got bool) {
	t.Helper()
	soon(t, r.String(), func() { got = revalidate.NotModified(r.request(), r.stored) })
	return got
}

func (r row) String() string {
	text := func(fields []string) string {
		if len(fields) == 0 {
			return "no field that matters"
		}
		var lines []string
		for pair := range slices.Chunk(fields, 2) {
			lines = append(lines, pair[0]+": "+pair[1])
		}
		return strings.Join(lines, " | ")
	}
	var has []string
	for _, name := range []string{"Etag", "Last-Modified", "Date"} {
		for _, value := range r.stored.Header[name] {
			has = append(has, name, value)
		}
	}
	return fmt.Sprintf("%s with %s, and a stored %d with %s", r.request().Method, text(r.fields), r.stored.Status, text(has))
}

type tableKey struct{}

// header has these fields, each a name and a value.
func header(fields ...string) http.Header {
	h := http.Header{}
	for pair := range slices.Chunk(fields, 2) {
		h.Add(pair[0], pair[1])
	}
	return h
}

// stored is a stored 200 with these fields.
func stored(fields ...string) *httpcache.Response { return status(http.StatusOK, fields...) }

func status(status int, fields ...string) *httpcache.Response {
	return &httpcache.Response{Status: status, Header: header(fields...), Requested: requested, Received: received, Body: new(httpcache.Body)}
}

// request is one for the menu with these fields.
func request(method string, fields ...string) *http.Request {
	if method == "" {
		method = http.MethodGet
	}
	r := httptest.NewRequest(method, "https://shop.test/menu", nil)
	r.Header = header(fields...)
	return r
}

func ask(t *testing.T, r *http.Request, s *httpcache.Response) (out *http.Request) {
	t.Helper()
	soon(t, "Ask", func() { out = revalidate.Ask(r, s) })
	require.NotNil(t, out, "Ask returned no request")
	return out
}

// freshen is what becomes of s by a 304 about it that has these fields.
func freshen(t *testing.T, s *httpcache.Response, fields ...string) *httpcache.Response {
	t.Helper()
	return freshenBy(t, s, header(fields...))
}

func freshenBy(t *testing.T, s *httpcache.Response, h http.Header) *httpcache.Response {
	t.Helper()
	was := s.Header.Clone()
	got := freshenAny(t, s, h)
	require.NotNil(t, got, "Freshen returned nil, where what is stored has %q, and the 304 %q: that 304 is about what is stored, so there is a result", was, h)
	return got
}

func freshenAny(t *testing.T, s *httpcache.Response, h http.Header) (got *httpcache.Response) {
	t.Helper()
	soon(t, "Freshen", func() { got = revalidate.Freshen(s, h, requested, received) })
	return got
}

// patience is how long a call may take. Nothing is waited for in any of them, and
// after one that did not return, the others are not waited for as long.
var patience = time.Second

// soon calls f, which must return.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan string, 1)
	go func() { done <- panics.In(f) }()
	select {
	case fault := <-done:
		require.Empty(t, fault, "%s panicked", what)
	case <-time.After(patience):
		patience = 50 * time.Millisecond
		require.FailNow(t, "no end", "%s: it has not returned. A loop over a list has to go on with the rest of it each time", what)
	}
}

func BenchmarkNotModified(b *testing.B) {
	r, s := request("GET", "If-None-Match", `"5", W/"6", "7"`), stored("ETag", `"7"`)
	b.ReportAllocs()
	for b.Loop() {
		if !revalidate.NotModified(r, s) {
			b.Fatal("the client has it")
		}
	}
}

// FuzzNotModified finds nothing that net/http sees otherwise, whatever the list.
//
//workshop:guard FuzzNotModified/...
func FuzzNotModified(f *testing.F) {
	for _, seed := range []string{`"7"`, `W/"7", "8"`, `*`, `"a,b`, "", "W/", ", ,"} {
		f.Add(seed, `"7"`)
	}
	f.Fuzz(func(t *testing.T, inm, etag string) {
		r := row{fields: []string{"If-None-Match", inm}, stored: stored("ETag", etag)}
		got := r.judge(t)
		if strings.Contains(inm, "*") || strings.TrimSpace(inm) == "" {
			return // net/http takes a star anywhere in the list, and an empty field for none
		}
		w := httptest.NewRecorder()
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r.request(), "menu.txt", time.Time{}, strings.NewReader("soup"))
		require.Equal(t, w.Code == http.StatusNotModified, got, "NotModified, as in: %s. Asked the same, http.ServeContent answers %d", r, w.Code)
	})
}
