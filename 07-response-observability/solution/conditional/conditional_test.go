package conditional_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/03-reverse-proxy/solution/compress"
	"clicktocode.example/07-response-observability/solution/conditional"
)

const jsonType, xmlType = "application/json", "application/xml"

func TestTag(t *testing.T) {
	t.Run("is_an_entity_tag", func(t *testing.T) {
		for _, version := range []int{1, 7, 1 << 40} {
			got := conditional.Tag(version, jsonType)
			require.Regexp(t, regexp.MustCompile(`^(W/)?"[\x21\x23-\x7e\x80-\xff]+"$`), got, "Tag(%d, %q): an entity tag stands in double quotes, which are a part of it, and has no quote, space or control character inside (RFC 9110 §8.8.3). Clients send it back letter by letter, and who reads a list of tags finds them by their quotes", version, jsonType)
		}
	})

	t.Run("is_a_strong_one", func(t *testing.T) {
		got := conditional.Tag(7, jsonType)
		require.NotEmpty(t, got, "Tag(7, %q)", jsonType)
		assert.NotRegexp(t, "^W/", got, "Tag(7, %q): a weak tag never is the same as another in If-Match (RFC 9110 §8.8.3.2), so nothing could be changed by it", jsonType)
	})

	t.Run("differs_from_version_to_version", func(t *testing.T) {
		seen := map[string]int{}
		for version := 1; version < 300; version++ {
			got := conditional.Tag(version, jsonType)
			require.NotEmpty(t, got, "Tag(%d, %q)", version, jsonType)
			require.NotContains(t, seen, got, "Tag(%d, %q) has been the tag of another version before: who has that one would be told that nothing has changed", version, jsonType)
			seen[got] = version
		}
	})

	t.Run("differs_from_form_to_form", func(t *testing.T) {
		got := conditional.Tag(7, jsonType)
		require.NotEmpty(t, got, "Tag(7, %q)", jsonType)
		assert.NotEqual(t, got, conditional.Tag(7, xmlType), "Tag(7, %q) and Tag(7, %q): the same strong tag says that the octets are the same (RFC 9110 §8.8.3). A client that has the JSON, and asks for XML, would be told to use its JSON", jsonType, xmlType)
	})

	t.Run("is_the_same_each_time", func(t *testing.T) {
		got := conditional.Tag(7, jsonType)
		require.NotEmpty(t, got, "Tag(7, %q)", jsonType)
		assert.Equal(t, got, conditional.Tag(7, jsonType), "Tag(7, %q), called again, as another replica would: nobody could ask for it by the first one", jsonType)
	})
}

// row is a request with a condition, and what becomes of it where tags are there.
type row struct {
	name   string
	method string
	header string // lines like "If-Match: x", with a line break between them
	yes    string // the tags (with | between them) for which status is wanted; "none" for none
	status int
	no     string // those for which the answer is otherwise. Empty: not asked
	then   int
	why    string
}

// What is there has the tag "7-json", unless said otherwise.
func TestIfNoneMatch(t *testing.T) {
	run(t, []row{
		{"what_the_client_has_is_not_sent", "GET", `If-None-Match: "7-json"`, `"7-json"`, 304, "", 0,
			"The client has what is there"},
		{"what_has_changed_is_sent", "GET", `If-None-Match: "6-json"`, `"6-json"`, 304, `"7-json"`, 0,
			"The client has version 6. That is good for as long as version 6 is there"},
		{"a_part_of_a_tag_is_no_tag", "GET", `If-None-Match: "17-json"`, `"17-json"`, 304, `"7-json"`, 0,
			"What the client has is another one, whose tag only holds these letters. Compare whole tags"},
		{"another_form_is_sent", "GET", `If-None-Match: "7-xml"`, `"7-xml"`, 304, `"7-json"`, 0,
			"The client has the XML of this version, and is to get the JSON"},
		{"one_of_several_is_enough", "GET", `If-None-Match: "5-json", "6-json" ,"7-json"`, `"7-json"`, 304, `"8-json"`, 0,
			"A client may have several, and lists them all"},
		{"they_may_stand_on_several_lines", "GET", "If-None-Match: \"5-json\"\nIf-None-Match: \"7-json\"\nIf-None-Match: \"6-json\"", `"7-json"`, 304, `"8-json"`, 0,
			"A list may stand on several lines (§5.3), and what is on one of them does not undo another. Header.Get returns the first one only"},
		{"a_weak_one_is_as_good", "GET", `If-None-Match: "6-json", W/"7-json"`, `"7-json"`, 304, `"8-json"`, 0,
			"If-None-Match compares weakly: W/ makes no difference (§13.1.2). An edge that compresses may have made the tag weak"},
		{"anything_is_what_is_there", "GET", `If-None-Match: *`, `"7-json"`, 304, "none", 0,
			`"*" is whatever is there (§13.1.2), and if nothing is, the condition holds`},
		{"a_comma_may_be_part_of_a_tag", "GET", `If-None-Match: "6,json", "7,json"`, `"7,json"`, 304, `","`, 0,
			"Inside of the quotes, a comma is a letter like any other (§8.8.3). cut takes the list apart"},
		{"what_is_malformed_ends_the_list", "GET", `If-None-Match: "7-json", 8-json, "9-json"`, `"7-json"`, 304, `"9-json"`, 0,
			"8-json has no quotes. What is before it counts; what is behind it, nobody can tell. cut takes the list apart"},
		{"the_asterisk_stands_alone", "GET", `If-None-Match: "7-json", *`, `"7-json"`, 304, `"8-json"`, 0,
			`"*" in a list is no tag, and malformed (§13.1.2)`},
		{"HEAD_is_like_GET", "HEAD", `If-None-Match: "7-json"`, `"7-json"`, 304, `"8-json"`, 0,
			"What holds for GET holds for HEAD (§13.1.2)"},
		{"a_change_is_refused", "POST", `If-None-Match: "7-json"`, `"7-json"`, 412, `"8-json"`, 0,
			"304 would tell the client that it has what it wants. Nothing was changed here, so it is 412 for every method but GET and HEAD (§13.1.2)"},
		{"nothing_may_be_there", "PUT", `If-None-Match: *`, `"7-json"`, 412, "none", 0,
			`"*" asks that nothing is there yet (§13.1.2)`},
	})

	t.Run("a_304_names_what_the_client_has", func(t *testing.T) {
		for _, row := range [][2]string{
			{`"7-json"`, `"7-json"`}, {`"6-json", "7-json"`, `"7-json"`}, {`W/"7-json"`, `W/"7-json"`}, {`*`, `"7-json"`},
		} {
			status, tag := evaluate(t, "GET", "If-None-Match: "+row[0], `"7-json"`)
			require.Equal(t, http.StatusNotModified, status, "as in: GET with If-None-Match: %s, where %q is there (RFC 9110 §13.1.2)", row[0], `"7-json"`)
			require.Equal(t, row[1], tag, "as in: GET with If-None-Match: %s, where %q is there: tag. A 304 names the copy that is still good by the tag that the client has it under (RFC 9111 §4.3.4)", row[0], `"7-json"`)
		}
	})
}

func TestIfMatch(t *testing.T) {
	run(t, []row{
		{"what_was_not_seen_is_not_changed", "POST", `If-Match: "6-json"`, `"7-json"`, 412, `"6-json"`, 0,
			"The client has seen version 6. Somebody else has changed it since, and that change must not get lost"},
		{"nothing_is_there_to_be_changed", "PUT", `If-Match: "7-json"`, "none", 412, `"7-json"`, 0,
			"What the client has seen is gone"},
		{"a_part_of_a_tag_is_no_tag", "POST", `If-Match: "17-json"`, `"7-json"`, 412, `"17-json"`, 0,
			"What the client has seen is another one, whose tag only holds these letters"},
		{"one_of_several_is_enough", "POST", `If-Match: "5-json", "6-json","7-json"`, `"8-json"`, 412, `"7-json"`, 0,
			"The client lists all that it would change"},
		{"they_may_stand_on_several_lines", "POST", "If-Match: \"5-json\"\nIf-Match: \"7-json\"\nIf-Match: \"6-json\"", `"8-json"`, 412, `"7-json"`, 0,
			"A list may stand on several lines (§5.3), and what is on one of them does not undo another. Header.Get returns the first one only"},
		{"any_form_of_the_version_was_seen", "POST", `If-Match: "7-xml"`, `"8-json"|"8-xml"`, 412, `"7-json"|"7-xml"`, 0,
			"The client has seen version 7, as XML. Of a change, tags are those of all forms"},
		{"a_weak_one_is_not_enough", "POST", `If-Match: W/"7-json"`, `"7-json"`, 412, "", 0,
			"If-Match compares strongly: a weak tag is not the same as any other (§8.8.3.2, §13.1.1). It says that the client has seen something like it, and that is not enough to change it"},
		{"a_weak_one_does_not_spoil_the_others", "POST", `If-Match: W/"7-json", "6-json"`, `"7-json"`, 412, `"6-json"`, 0,
			"A weak tag in the list is not the same as any other (§8.8.3.2), and the one behind it counts"},
		{"anything_is_what_is_there", "PUT", `If-Match: *`, "none", 412, `"7-json"`, 0,
			`"*" asks that something is there, whatever it is (§13.1.1)`},
		{"the_asterisk_stands_alone", "POST", "If-Match: \"6-json\"\nIf-Match: *", `"7-json"`, 412, `"6-json"`, 0,
			`"*" in a list is no tag, and malformed, also where it has a line of its own (§13.1.1)`},
		{"an_asterisk_and_more_names_nothing", "POST", `If-Match: *, "7-json"`, `"7-json"`, 412, "", 0,
			`"*" in a list is malformed (§13.1.1), and what is malformed ends the list: nothing was before it`},
		{"a_list_of_nothing_names_nothing", "POST", `If-Match: `, `"7-json"`, 412, "", 0,
			"The field is there, so there is a condition, and none of what it lists is there. Header.Get does not tell an empty field from none: is there a line in r.Header?"},
		{"what_is_malformed_was_not_seen", "POST", `If-Match: "6-json", 7-json`, `"7-json"`, 412, `"6-json"`, 0,
			"7-json has no quotes, and is no tag"},
		{"counts_for_GET_as_well", "GET", `If-Match: "6-json"`, `"7-json"`, 412, `"6-json"`, 0,
			"A client that loads the second half of something asks so (§13.1.1)"},
	})
}

// RFC 9110 §13.2.2 says in which order.
func TestBoth(t *testing.T) {
	run(t, []row{
		{"If-Match_comes_first", "GET", "If-None-Match: \"7-json\"\nIf-Match: \"6-json\"", `"7-json"`, 412, `"8-json"`, 412,
			"If-Match does not hold, and it comes first (§13.2.2, step 1)"},
		{"then_If-None-Match", "GET", "If-None-Match: \"7-json\"\nIf-Match: *", `"7-json"`, 304, `"8-json"`, 0,
			"If-Match holds, and then If-None-Match decides (§13.2.2, step 3)"},
		{"a_change_goes_on_if_both_hold", "POST", "If-None-Match: \"7-json\"\nIf-Match: \"6-json\", \"7-json\"", `"7-json"`, 412, `"6-json"`, 0,
			"It must be one of the two, and not the second"},
	})
}

// What a compressing edge has appended.
func TestSuffix(t *testing.T) {
	run(t, []row{
		{"what_was_seen_in_gzip_was_seen", "POST", `If-Match: "7-json-gzip"`, `"8-json"`, 412, `"7-json"`, 0,
			"An edge has appended -gzip, and did not take it away again. The client has seen version 7, compressed: bare takes the suffix off"},
		{"and_in_the_others", "POST", `If-Match: "6-json-zstd", "7-json-br"`, `"8-json"`, 412, `"7-json"`, 0,
			"An edge has appended -br. bare takes the suffix off, with any of codings"},
		{"what_the_client_has_in_gzip_is_not_sent", "GET", "Accept-Encoding: gzip, br\nIf-None-Match: \"7-json-gzip\"", `"7-json"`, 304, `"8-json"`, 0,
			"The client has version 7, compressed by an edge, and accepts that coding: bare takes the suffix off"},
		{"a_weak_one_too", "GET", "Accept-Encoding: gzip, br\nIf-None-Match: W/\"7-json-br\"", `"7-json"`, 304, `"8-json"`, 0,
			"The client has version 7, compressed by an edge, and accepts that coding: bare takes the suffix off, and W/ makes no difference"},
		{"what_the_client_cannot_unpack_is_sent", "GET", "Accept-Encoding: br\nIf-None-Match: \"7-json-gzip\", \"6-json-br\"", `"6-json"`, 304, `"7-json"`, 0,
			"Who asks is a cache, which has version 7 in gzip, for a client that accepts br only: that copy is of no use to it. accepted says which codings are"},
	})

	t.Run("a_304_names_what_the_client_has", func(t *testing.T) {
		status, tag := evaluate(t, "GET", "Accept-Encoding: gzip\nIf-None-Match: \"7-json-gzip\"", `"7-json"`)
		require.Equal(t, http.StatusNotModified, status, "as in: GET with Accept-Encoding: gzip and If-None-Match: %q, where %q is there: bare takes the suffix off", `"7-json-gzip"`, `"7-json"`)
		assert.Equal(t, `"7-json-gzip"`, tag, "as in: GET with If-None-Match: %q, where %q is there: tag. A 304 names the copy that is still good by the tag that the client has it under, suffix included (RFC 9111 §4.3.4)", `"7-json-gzip"`, `"7-json"`)
	})
}

func TestNotModified(t *testing.T) {
	// The header of a 200.
	answer := func(t *testing.T) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		for name, value := range map[string]string{
			"ETag": `"7-json"`, "Vary": "Accept", "Cache-Control": "private, no-cache", "Content-Location": "/orders/17",
			"Expires": "Thu, 01 Jan 2026 00:00:00 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
			"Content-Type": "application/json", "Content-Length": "300", "Content-Encoding": "gzip", "Content-Language": "fr", "Content-Range": "bytes 0-299/300",
			"X-Request-ID": "req-17", "Content-Security-Policy": "default-src 'none'",
		} {
			rec.Header().Set(name, value)
		}
		fault := panics.In(func() { conditional.NotModified(rec) })
		require.Empty(t, fault, "NotModified has panicked")
		require.Equal(t, http.StatusNotModified, rec.Code, "the status that NotModified has sent (RFC 9110 §15.4.5)")
		return rec
	}

	t.Run("has_no_content", func(t *testing.T) {
		assert.Empty(t, answer(t).Body.String(), "the content of a 304: it ends behind its header (RFC 9110 §15.4.5). What is written all the same, a client takes for the beginning of the next answer")
	})

	t.Run("has_what_the_copy_takes_over", func(t *testing.T) {
		h := answer(t).Result().Header
		for _, name := range []string{"ETag", "Vary", "Cache-Control", "Content-Location", "Expires", "Date"} {
			require.NotEmpty(t, h.Get(name), "%s was in the header of the 200. A 304 has it, too (RFC 9110 §15.4.5): the client's copy takes it over, and does not know otherwise for how long, and for which requests, it is good now", name)
		}
	})

	t.Run("keeps_what_is_not_about_content", func(t *testing.T) {
		h := answer(t).Result().Header
		for _, name := range []string{"X-Request-ID", "Content-Security-Policy"} {
			require.NotEmpty(t, h.Get(name), "%s was in the header. It is not about content, whatever its name, and stays", name)
		}
	})

	t.Run("says_nothing_of_content", func(t *testing.T) {
		h := answer(t).Result().Header
		for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Range"} {
			require.Empty(t, h.Values(name), "%s was in the header of the 200. A 304 has no content that it could be about (RFC 9110 §15.4.5), and a cache would take it for news of its copy, an empty one, too: Header.Del", name)
		}
	})
}

// The whole way over HTTP, through chapter 3's compressing edge.
func TestEdge(t *testing.T) {
	t.Run("a_copy_is_still_good", func(t *testing.T) {
		o := newKitchen(t)
		edge := o.edge(t, "gzip")
		tag := edge.send(t, "GET", "gzip", "").has(t, 200, "gzip").Header.Get("ETag")
		require.Regexp(t, `-gzip"$`, tag, "the ETag of an answer that was compressed on the way. Tag(7, %q), as the kitchen's, has no suffix, and is an entity tag", jsonType)
		again := edge.send(t, "GET", "gzip", "If-None-Match: "+tag).has(t, 304, "")
		assert.Equal(t, tag, again.Header.Get("ETag"), "the ETag of the 304")
	})

	t.Run("a_copy_is_still_good_behind_another_edge", func(t *testing.T) {
		o := newKitchen(t)
		tag := o.edge(t, "gzip").send(t, "GET", "gzip, br", "").has(t, 200, "gzip").Header.Get("ETag")
		again := o.edge(t, "br", "gzip").send(t, "GET", "gzip, br", "If-None-Match: "+tag).has(t, 304, "")
		assert.Equal(t, tag, again.Header.Get("ETag"), "the ETag of the 304: the client has it from an edge that compresses by gzip, and asks at one that would rather use br")
	})

	t.Run("a_copy_that_nobody_can_unpack_is_none", func(t *testing.T) {
		o := newKitchen(t)
		tag := o.edge(t, "gzip").send(t, "GET", "gzip", "").has(t, 200, "gzip").Header.Get("ETag")
		o.edge(t, "br", "gzip").send(t, "GET", "br", "If-None-Match: "+tag).has(t, 200, "br")
		o.edge(t, "br", "gzip").send(t, "GET", "gzip", "If-None-Match: "+tag).has(t, 304, "")
	})

	t.Run("what_has_changed_is_sent", func(t *testing.T) {
		o := newKitchen(t)
		edge := o.edge(t, "gzip")
		tag := edge.send(t, "GET", "gzip", "").has(t, 200, "gzip").Header.Get("ETag")
		edge.send(t, "GET", "gzip", "If-None-Match: "+tag).has(t, 304, "")
		edge.send(t, "POST", "gzip", "").has(t, 200, "gzip")
		edge.send(t, "GET", "gzip", "If-None-Match: "+tag).has(t, 200, "gzip")
	})

	t.Run("what_was_seen_can_be_changed_once", func(t *testing.T) {
		o := newKitchen(t)
		edge := o.edge(t, "gzip")
		tag := edge.send(t, "GET", "gzip", "").has(t, 200, "gzip").Header.Get("ETag")
		edge.send(t, "POST", "gzip", "If-Match: "+tag).has(t, 200, "gzip")
		edge.send(t, "POST", "gzip", "If-Match: "+tag).has(t, 412, "")
		assert.EqualValues(t, 8, o.version.Load(), "the version in the end: two customers have seen 7, and the second one's change was refused")
	})
}

func FuzzEvaluate(f *testing.F) {
	f.Add(`"7-json", W/"8-json"`, `*`, "gzip")
	f.Add(`"7-json-gzip"`, `"`, "br")
	f.Fuzz(func(t *testing.T, match, noneMatch, encoding string) {
		header := func(pairs ...string) http.Header {
			h := http.Header{}
			for i := 0; i < len(pairs); i += 2 {
				h[pairs[i]] = []string{pairs[i+1]}
			}
			return h
		}
		r := &http.Request{Method: "GET", Header: header("If-Match", match, "If-None-Match", noneMatch, "Accept-Encoding", encoding)}
		status, tag := evaluated(t, r, `"7-json"`)
		require.Contains(t, []int{0, 304, 412}, status, "as in: %q", r.Header)
		if status == 304 {
			require.NotEmpty(t, tag, "as in: %q: the tag of a 304", r.Header)
		}
		r.Header = header("If-None-Match", `"7-json"`)
		status, _ = evaluated(t, r, `"7-json"`)
		require.Equal(t, 304, status, "as in: %q, where %q is there", r.Header, `"7-json"`)
	})
}

// kitchen has one order, whose version is 7, and one more with each POST.
type kitchen struct {
	version atomic.Int64
	handler http.Handler
}

func newKitchen(t *testing.T) *kitchen {
	k := &kitchen{}
	k.version.Store(7)
	k.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := panics.In(func() {
			version := int(k.version.Load())
			if r.Method == http.MethodPost {
				if status, _ := conditional.Evaluate(r, conditional.Tag(version, jsonType), conditional.Tag(version, xmlType)); status != 0 {
					w.WriteHeader(status)
					return
				}
				version = int(k.version.Add(1))
			}
			w.Header().Set("Vary", "Accept")
			tag := conditional.Tag(version, jsonType)
			if r.Method == http.MethodGet && conditional.Check(w, r, tag) {
				return
			}
			w.Header().Set("Etag", tag)
			w.Header().Set("Content-Type", jsonType)
			_, _ = io.WriteString(w, `{"version": `+strconv.Itoa(version)+strings.Repeat(" ", 2000)+"}")
		})
		assert.Empty(t, fault, "the kitchen's handler has panicked")
	})
	return k
}

// edge is a server in front of the kitchen that compresses by these codings.
type edge struct{ *httptest.Server }

func (k *kitchen) edge(t *testing.T, codings ...string) edge {
	compressed, err := compress.New(k.handler, compress.Config{Codings: codings})
	require.NoError(t, err)
	server := httptest.NewServer(compressed)
	t.Cleanup(func() { // Close waits for the kitchen, but not for ever
		closed := make(chan struct{})
		go func() { defer close(closed); server.Close() }()
		select {
		case <-closed:
		case <-time.After(patience):
		}
	})
	return edge{server}
}

// got is an answer, and what it was asked for.
type got struct {
	*http.Response
	asked string
}

func (e edge) send(t *testing.T, method, encoding, condition string) got {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, e.URL, nil)
	require.NoError(t, err)
	r.Header.Set("Accept-Encoding", encoding)
	if name, value, ok := strings.Cut(condition, ": "); ok {
		r.Header.Set(name, value)
	}
	client := *e.Client()
	client.Timeout = 5 * patience
	resp, err := client.Do(r)
	require.NoError(t, err, "%s with Accept-Encoding: %s, %s. If there was no answer in time: is there a loop in Evaluate that does not end?", method, encoding, condition)
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	require.NoError(t, err)
	return got{resp, strings.TrimSuffix(fmt.Sprintf("%s with Accept-Encoding: %s, %s", method, encoding, condition), ", ")}
}

func (g got) has(t *testing.T, status int, coding string) got {
	t.Helper()
	require.Equal(t, status, g.StatusCode, "through an edge that compresses, %s: the status. What it has answered: %q", g.asked, g.Header)
	require.Equal(t, coding, g.Header.Get("Content-Encoding"), "through an edge that compresses, %s: the coding of the answer", g.asked)
	return g
}

func run(t *testing.T, rows []row) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			check := func(there string, want int) {
				status, _ := evaluate(t, row.method, row.header, there)
				require.Equal(t, want, status, "as in: %s with %s, where there is %s: the status (0: go on). %s (RFC 9110 §13)", row.method, strings.ReplaceAll(row.header, "\n", " and "), strings.ReplaceAll(there, "|", " and "), row.why)
			}
			check(row.yes, row.status)
			if row.no != "" {
				check(row.no, row.then)
			}
		})
	}
}

// evaluate is evaluated, of a request with this header, where these tags are there.
func evaluate(t *testing.T, method, header, there string) (status int, tag string) {
	t.Helper()
	r := httptest.NewRequest(method, "/orders/17", nil)
	for line := range strings.SplitSeq(header, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	var tags []string
	if there != "none" {
		tags = strings.Split(there, "|")
	}
	return evaluated(t, r, tags...)
}

// patience is how long Evaluate may take. Once it has not returned, the others are not
// waited for as long.
var patience = time.Second

// evaluated is Evaluate, which must come back, and not panic.
func evaluated(t *testing.T, r *http.Request, tags ...string) (status int, tag string) {
	t.Helper()
	as := fmt.Sprintf("as in: %s with %q, where there is %q", r.Method, r.Header, tags)
	type result struct {
		status int
		tag    string
		fault  string
	}
	done := make(chan result, 1)
	go func() {
		var got result
		got.fault = panics.In(func() { got.status, got.tag = conditional.Evaluate(r, tags...) })
		done <- got
	}()
	for range patience / (10 * time.Millisecond) { // of this program: the time that a busy machine stands still does not count
		select {
		case got := <-done:
			require.Empty(t, got.fault, "%s. Evaluate must not panic, whatever a client sends", as)
			return got.status, got.tag
		case <-time.After(10 * time.Millisecond):
		}
	}
	patience = 50 * time.Millisecond
	require.FailNow(t, "Evaluate has not returned", "%s. Does its loop end with the list? cut returns an empty tag there", as)
	return 0, ""
}
