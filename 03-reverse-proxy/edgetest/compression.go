package edgetest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// menu is text that is worth it.
var menu = strings.Repeat("soup, and then some more soup. ", 200)

// page of text, which may be kept.
func text(s *site, fields ...string) *page {
	return s.page(says(menu, append([]string{fresh, "Content-Type: text/plain"}, fields...)...))
}

// decoded is resp's content as it was before it was coded.
func decoded(resp *http.Response) (io.Reader, error) {
	switch resp.Header.Get("Content-Encoding") {
	case "", "identity":
		return resp.Body, nil
	case "gzip":
		return gzip.NewReader(resp.Body)
	}
	return nil, fmt.Errorf("Content-Encoding: %s", resp.Header.Get("Content-Encoding"))
}

// isCoded sees that got, for one who accepts gzip, is the menu, in gzip or as it is.
func isCoded(t testing.TB, got answer, want bool, why string) {
	t.Helper()
	require.Equal(t, 200, got.StatusCode)
	require.NoError(t, got.err)
	coding := got.Header.Get("Content-Encoding")
	if !want {
		assert.Empty(t, coding, why)
		assert.True(t, got.body == menu || coding != "", "the content is another: %.60q", got.body)
		return
	}
	require.Equal(t, "gzip", coding, why)
	unzip, err := gzip.NewReader(strings.NewReader(got.body))
	require.NoError(t, err)
	whole, err := io.ReadAll(unzip)
	require.NoError(t, err)
	assert.True(t, string(whole) == menu, "what is unpacked is not what the origin said: %.60q", whole)
	assert.Less(t, len(got.body), len(menu))
	if length := got.Header.Get("Content-Length"); length != "" {
		assert.Equal(t, fmt.Sprint(len(got.body)), length)
	}
}

// untouched is the leaf that an answer is not compressed, beside one that is.
func untouched(name, why string, fields ...string) leaf {
	return leaf{name: name, page: func(t testing.TB, s *site) {
		isCoded(t, text(s).get(t, "Accept-Encoding: gzip"), true, "nothing is proved by an edge that compresses nothing")
		isCoded(t, s.page(says(menu, fields...)).get(t, "Accept-Encoding: gzip"), false, why)
	}}
}

// accepting is the leaf that one who accepts this gets gzip, or does not.
func accepting(name, accept string, want bool) leaf {
	return leaf{name: name, page: func(t testing.TB, s *site) {
		isCoded(t, text(s).get(t, "Accept-Encoding: gzip"), true, "plain gzip is accepted")
		isCoded(t, text(s).get(t, "Accept-Encoding: "+accept), want, "Accept-Encoding: "+accept+" (RFC 9110 §12.5.3)")
	}}
}

// compression is what the edge does to text on its way to clients that can undo it.
var compression = []leaf{
	accepting("gzip_is_used_where_it_is_accepted", "gzip", true),
	accepting("a_coding_of_no_weight_is_not_used", "gzip;q=0", false),
	accepting("a_weight_of_0.000_is_none", "gzip; q=0.000", false),
	accepting("identity_alone_is_accepted", "identity", false),
	accepting("a_name_that_begins_like_gzip_is_another", "gzippy", false),
	accepting("names_are_read_in_any_case", "GZIP;Q=1", true),
	{name: "who_accepts_nothing_gets_it_as_it_is", page: func(t testing.TB, s *site) {
		isCoded(t, text(s).get(t, "Accept-Encoding: gzip"), true, "nothing is proved by an edge that compresses nothing")
		isCoded(t, text(s).get(t), false, "this edge is to use no coding that was not asked for")
	}},
	{name: "Vary_names_Accept-Encoding_when_compressed", page: func(t testing.TB, s *site) {
		got := text(s).get(t, "Accept-Encoding: gzip")
		isCoded(t, got, true, "gzip is accepted")
		assert.Contains(t, strings.ToLower(strings.Join(got.Header["Vary"], ",")), "accept-encoding", "a cache gives it to who cannot unpack it (RFC 9110 §12.5.5)")
	}},
	{name: "Vary_names_Accept-Encoding_when_not_compressed", page: func(t testing.TB, s *site) {
		got := text(s).get(t)
		isCoded(t, got, false, "nothing is accepted")
		assert.Contains(t, strings.ToLower(strings.Join(got.Header["Vary"], ",")), "accept-encoding", "a cache gives it to who could have had less (RFC 9110 §12.5.5)")
	}},
	{name: "the_origin's_Vary_stays", page: func(t testing.TB, s *site) {
		got := text(s, "Vary: Accept-Language").get(t, "Accept-Encoding: gzip")
		isCoded(t, got, true, "gzip is accepted")
		assert.Contains(t, strings.ToLower(strings.Join(got.Header["Vary"], ",")), "accept-language")
	}},
	{name: "two_codings_have_not_one_strong_ETag", page: func(t testing.TB, s *site) {
		p := text(s, `ETag: "1"`)
		coded, plain := p.get(t, "Accept-Encoding: gzip"), p.get(t)
		isCoded(t, coded, true, "gzip is accepted")
		isCoded(t, plain, false, "nothing is accepted")
		etag := coded.Header.Get("ETag")
		assert.False(t, etag == plain.Header.Get("ETag") && !strings.HasPrefix(etag, "W/"),
			"both are %s: to ask for the rest by it makes a whole of two halves that do not fit (RFC 9110 §8.8.3.3)", etag)
	}},
	{name: "the_ETag_of_what_was_compressed_gets_304", page: func(t testing.TB, s *site) {
		p := text(s, `ETag: "1"`)
		got := p.get(t, "Accept-Encoding: gzip")
		isCoded(t, got, true, "gzip is accepted")
		require.NotEmpty(t, got.Header.Get("ETag"))
		assert.Equal(t, 304, p.get(t, "Accept-Encoding: gzip", "If-None-Match: "+got.Header.Get("ETag")).StatusCode, "the client has that one")
	}},
	{name: "one_who_cannot_unpack_it_gets_the_same_stored_answer", page: func(t testing.TB, s *site) {
		p := text(s)
		isCoded(t, p.get(t, "Accept-Encoding: gzip"), true, "gzip is accepted")
		isCoded(t, p.get(t), false, "nothing is accepted")
		isCoded(t, p.get(t, "Accept-Encoding: gzip"), true, "gzip is accepted")
	}},
	{name: "HEAD_has_no_content", page: func(t testing.TB, s *site) {
		p := text(s)
		c := dial(t, s.edge)
		for range 2 {
			c.send(fmt.Sprintf("HEAD %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\n\r\n", p.path, Host))
			assert.Equal(t, 200, c.final(t, "HEAD").StatusCode, "even the end of a gzip would be taken for the next answer")
		}
		isCoded(t, p.get(t, "Accept-Encoding: gzip"), true, "gzip is accepted")
	}},
	{name: "what_is_coded_already_is_not_coded_again", page: func(t testing.TB, s *site) {
		var packed strings.Builder
		zip := gzip.NewWriter(&packed)
		_, _ = io.WriteString(zip, menu)
		require.NoError(t, zip.Close())
		p := s.page(says(packed.String(), "Content-Type: text/plain", "Content-Encoding: gzip", "Cache-Control: no-store"))
		isCoded(t, p.get(t, "Accept-Encoding: gzip"), true, "the origin has compressed it")
	}},
	{name: "what_is_small_stays_as_it_is", page: func(t testing.TB, s *site) {
		isCoded(t, text(s).get(t, "Accept-Encoding: gzip"), true, "nothing is proved by an edge that compresses nothing")
		got := s.page(says("soup", "Content-Type: text/plain", fresh)).get(t, "Accept-Encoding: gzip")
		assert.Equal(t, "soup", got.body, "it gets longer")
	}},
	{name: "a_part_is_one_of_what_was_compressed_or_was_not", page: func(t testing.TB, s *site) {
		p := text(s, `ETag: "1"`, "Accept-Ranges: bytes")
		coded := p.get(t, "Accept-Encoding: gzip")
		isCoded(t, coded, true, "gzip is accepted")
		got := p.get(t, "Accept-Encoding: gzip", "Range: bytes=0-19")
		whole := menu
		if got.Header.Get("Content-Encoding") == "gzip" { // then it is a part of what is compressed
			whole = coded.body
			assert.Equal(t, coded.Header.Get("ETag"), got.Header.Get("ETag"), "a part says by its ETag what it is a part of")
		}
		if got.StatusCode == 206 { // 200 is allowed, too
			assert.Equal(t, whole[:20], got.body, "its numbers count octets of what Content-Encoding says (RFC 9110 §14.4)")
		}
	}},
	untouched("pictures_stay_as_they_are", "they are compressed already", "Content-Type: image/jpeg", fresh),
	untouched("no-transform_stays_as_it_is", "RFC 9110 §7.7", "Content-Type: text/plain", "Cache-Control: no-transform, max-age=60"),
}
