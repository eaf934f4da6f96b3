package edgetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The octets of an attack that hides a second request in the content of a first.
const hidden = "GET /smuggled HTTP/1.1\r\nHost: shop.test\r\n\r\n"

// post is a request with these lines in its header, and this content.
func post(content string, lines ...string) string {
	return "POST /attack HTTP/1.1\r\nHost: " + Host + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + content
}

// asked is a GET with these lines in its header.
func asked(lines ...string) string {
	return "GET /attack HTTP/1.1\r\n" + strings.Join(append([]string{"Host: " + Host}, lines...), "\r\n") + "\r\n\r\n"
}

// refuse is the leaf that an edge must refuse these octets.
func refuse(name, why, octets string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) { attack(t, start, octets).refused(t, why) }}
}

// tooMuch is the leaf that an edge must refuse a request of this size. It can be
// read in one way, so that the connection may go on.
func tooMuch(name, why, octets string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) {
		a := attack(t, start, octets)
		assert.False(t, a.reached("/attack"), "%s: it must be refused, and reached the origin", why)
		if len(a.answers) > 0 { // the edge may also just close the connection
			assert.GreaterOrEqual(t, a.answers[0], 400, "%s: it must be refused: %.300q", why, a.raw)
		}
	}}
}

// survive is the leaf that an edge may refuse these octets, or make good ones of
// them, but may not let through a request that is hidden in them.
func survive(name, why, octets string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) {
		a := attack(t, start, octets)
		assert.False(t, a.reached("/smuggled"), "%s; as in: %.300q; to the origin went:\n%s", why, octets, a.octets)
	}}
}

// chunks is a POST whose content is in chunks that are laid out like this.
func chunks(body string) string { return post(body, "Transfer-Encoding: chunked") }

// requests is what clients send that could be read in two ways, or should not be
// read at all (RFC 9112).
var requests = []leaf{
	survive("Content-Length_beside_Transfer-Encoding_hides_nothing", "RFC 9112 §6.3: it may be an attempt to smuggle, and the connection has to end",
		post("0\r\n\r\n"+hidden, fmt.Sprint("Content-Length: ", 5+len(hidden)), "Transfer-Encoding: chunked")),
	survive("Transfer-Encoding_beside_Content-Length_hides_nothing", "RFC 9112 §6.3: it may be an attempt to smuggle, and the connection has to end",
		post("0\r\n\r\n"+hidden, "Transfer-Encoding: chunked", "Content-Length: 5")),
	refuse("two_Content-Lengths_that_differ_are_refused", "RFC 9112 §6.3", post("hello"+hidden, "Content-Length: 5", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	refuse("two_Content-Lengths_on_one_line_that_differ_are_refused", "RFC 9112 §6.3", post("hello"+hidden, fmt.Sprint("Content-Length: 5, ", 5+len(hidden)))),
	survive("one_Content-Length_twice_hides_nothing", "RFC 9110 §8.6", post("hello", "Content-Length: 5", "Content-Length: 5")),
	refuse("a_Content-Length_with_a_sign_is_refused", "RFC 9110 §8.6", post("hello", "Content-Length: +5")),
	refuse("a_negative_Content-Length_is_refused", "RFC 9110 §8.6", post("hello", "Content-Length: -5")),
	refuse("a_hexadecimal_Content-Length_is_refused", "RFC 9110 §8.6", post("hello", "Content-Length: 0x5")),
	refuse("a_Content-Length_with_an_underscore_is_refused", "RFC 9110 §8.6", post("hello", "Content-Length: 0_5")),
	refuse("an_empty_Content-Length_is_refused", "RFC 9110 §8.6", post(hidden, "Content-Length:")),
	refuse("a_Content-Length_too_large_to_count_is_refused", "2^64+5 is no 5 (RFC 9110 §8.6)", post("hello"+hidden, "Content-Length: 18446744073709551621")),
	refuse("Transfer-Encoding_chunked,_identity_is_refused", "chunked has to be the last (RFC 9112 §6.3)", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked, identity")),
	refuse("Transfer-Encoding_that_is_not_known_is_refused", "RFC 9112 §6.1", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: xchunked")),
	refuse("Transfer-Encoding_in_quotes_is_refused", "RFC 9112 §6.1", post("5\r\nhello\r\n0\r\n\r\n", `Transfer-Encoding: "chunked"`)),
	refuse("Transfer-Encoding_with_a_parameter_is_refused", "chunked has none (RFC 9112 §7)", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked;q=1")),
	refuse("Transfer-Encoding_of_two_chunked_is_refused", "a sender must not chunk twice (RFC 9112 §6.1)", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked, chunked")),
	refuse("a_vertical_tab_before_chunked_is_refused", "RFC 9110 §5.5", post("0\r\n\r\n"+hidden, "Transfer-Encoding: \x0bchunked", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	refuse("an_unknown_Transfer-Encoding_beside_Content-Length_is_refused", "RFC 9112 §6.3", post("0\r\n\r\n"+hidden, "Transfer-Encoding: xchunked", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	refuse("a_space_before_the_colon_is_refused", "RFC 9112 §5.1", post("0\r\n\r\n"+hidden, "Transfer-Encoding : chunked", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	refuse("a_field_without_a_name_is_refused", "RFC 9112 §5", asked(": value")),
	refuse("a_name_with_a_space_is_refused", "RFC 9110 §5.1", asked("X Y: value")),
	refuse("a_line_without_a_colon_is_refused", "RFC 9112 §5", asked("nonsense")),
	survive("a_bare_LF_ends_no_line_for_the_origin_alone", "RFC 9112 §2.2", post("0\r\n\r\n"+hidden, "X: y\nTransfer-Encoding: chunked", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	survive("a_request_of_bare_LFs_hides_nothing", "RFC 9112 §2.2", strings.ReplaceAll(post("0\r\n\r\n"+hidden, "Transfer-Encoding: chunked", fmt.Sprint("Content-Length: ", 5+len(hidden))), "\r\n", "\n")),
	survive("a_bare_CR_ends_no_line", "RFC 9112 §2.2", post("0\r\n\r\n"+hidden, "X: y\rTransfer-Encoding: chunked", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	refuse("NUL_in_a_field_is_refused", "RFC 9110 §5.5", asked("X: a\x00b")),
	survive("a_line_that_is_folded_hides_nothing", "RFC 9112 §5.2", post("0\r\n\r\n"+hidden, "X: y", " Transfer-Encoding: chunked", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	survive("a_folded_Transfer-Encoding_hides_nothing", "RFC 9112 §5.2", post("0\r\n\r\n"+hidden, "Transfer-Encoding:", " chunked", fmt.Sprint("Content-Length: ", 5+len(hidden)))),
	refuse("a_first_field_that_is_folded_is_refused", "RFC 9112 §2.2", "GET /attack HTTP/1.1\r\n Host: "+Host+"\r\nHost: "+Host+"\r\n\r\n"),
	survive("chunk_extensions_hide_nothing", "RFC 9112 §7.1.1", chunks("5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n")),
	cut("a_bare_LF_in_a_chunk_extension_is_refused", "some take it for the line's end, others for a part of the extension (RFC 9112 §7.1.1; CVE-2025-22871)",
		chunks("5;\nhello\r\n0\r\n\r\n")),
	survive("a_chunk_extension_of_a_megabyte_is_not_passed_on", "RFC 9112 §7.1.1", chunks("5;"+strings.Repeat("a", 1<<20)+"\r\nhello\r\n0\r\n\r\n")),
	cut("a_chunk_size_too_large_to_count_is_refused", "2^64+5 is no 5 (RFC 9112 §7.1)", chunks("10000000000000005\r\nhello\r\n0\r\n\r\n")),
	cut("a_chunk_size_with_a_sign_is_refused", "RFC 9112 §7.1", chunks("+5\r\nhello\r\n0\r\n\r\n")),
	cut("a_chunk_size_with_0x_is_refused", "RFC 9112 §7.1", chunks("0x5\r\nhello\r\n0\r\n\r\n")),
	cut("a_chunk_size_with_an_underscore_is_refused", "RFC 9112 §7.1", chunks("0_5\r\nhello\r\n0\r\n\r\n")),
	cut("a_chunk_longer_than_its_size_is_refused", "RFC 9112 §7.1", chunks("5\r\nhello!\r\n0\r\n\r\n")),
	cut("a_chunk_without_its_CRLF_is_refused", "RFC 9112 §7.1", chunks("5\r\nhelloxx0\r\n\r\n")),
	survive("a_trailer_is_no_header", "Content-Length and its like have no place there (RFC 9110 §6.5.1)", chunks("5\r\nhello\r\n0\r\nContent-Length: 50\r\nHost: evil.test\r\nTransfer-Encoding: chunked\r\n\r\n")),
	survive("content_of_GET_hides_nothing", "RFC 9110 §9.3.1", asked(fmt.Sprint("Content-Length: ", len(hidden)))+hidden),
	survive("Connection_cannot_name_Content-Length", "without it the content would be requests (RFC 9110 §7.6.1)", post(hidden, fmt.Sprint("Content-Length: ", len(hidden)), "Connection: Content-Length")),
	survive("Connection_cannot_name_Transfer-Encoding", "RFC 9110 §7.6.1", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked", "Connection: Transfer-Encoding")),
	survive("Connection_cannot_name_Host", "RFC 9110 §7.6.1", asked("Connection: Host")),
	survive("HTTP/1.0_with_Transfer-Encoding_hides_nothing", "RFC 9112 §6.1", strings.Replace(post("0\r\n\r\n"+hidden, "Transfer-Encoding: chunked", "Connection: keep-alive"), "HTTP/1.1", "HTTP/1.0", 1)),
	{name: "HTTP/1.0_gets_no_chunks", wire: func(t testing.TB, start Start) {
		r := newRecorder(t)
		r.respond = func(int, heard) string {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
		}
		c := dial(t, start(t, r.addr))
		c.send("GET / HTTP/1.0\r\nHost: " + Host + "\r\n\r\n")
		a := c.final(t, "GET")
		assert.Empty(t, a.TransferEncoding, "it is newer than HTTP/1.0 (RFC 9112 §6.1)")
		assert.Equal(t, "hello", a.body)
	}},
	{name: "the_host_of_an_absolute_target_counts", wire: func(t testing.TB, start Start) {
		a := attack(t, start, "GET http://other.test/attack HTTP/1.1\r\nHost: "+Host+"\r\n\r\n")
		for _, h := range a.requests {
			if strings.Contains(h.target, "/attack") { // it may be refused
				assert.Equal(t, "other.test", h.header.Get("Host"), "Host is ignored beside an absolute target, and is replaced when it is passed on (RFC 9112 §3.2.2)")
			}
		}
	}},
	refuse("two_Hosts_are_refused", "RFC 9112 §3.2", asked("Host: evil.test")),
	refuse("no_Host_is_refused", "RFC 9112 §3.2", "GET /attack HTTP/1.1\r\nX: y\r\n\r\n"),
	refuse("a_Host_that_is_none_is_refused", "RFC 9112 §3.2", "GET /attack HTTP/1.1\r\nHost: shop.test/evil?\r\n\r\n"),
	refuse("a_space_in_the_target_is_refused", "RFC 9112 §3.2", "GET /att ack HTTP/1.1\r\nHost: "+Host+"\r\n\r\n"),
	refuse("a_control_character_in_the_target_is_refused", "RFC 9112 §3.2", "GET /att\x01ack HTTP/1.1\r\nHost: "+Host+"\r\n\r\n"),
	refuse("a_tab_in_place_of_a_space_is_refused", "RFC 9112 §3", "GET\t/attack\tHTTP/1.1\r\nHost: "+Host+"\r\n\r\n"),
	refuse("a_method_that_is_no_token_is_refused", "RFC 9110 §9.1", "G(T /attack HTTP/1.1\r\nHost: "+Host+"\r\n\r\n"),
	refuse("a_version_that_is_none_is_refused", "RFC 9112 §2.3", "GET /attack HTTP/1.1x\r\nHost: "+Host+"\r\n\r\n"),
	refuse("a_request_of_HTTP/0.9_is_refused", "RFC 9112 §3", "GET /attack\r\n\r\n"),
	refuse("the_preface_of_HTTP/2_is_no_request", "RFC 9113 §3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	refuse("TLS_where_none_is_spoken_is_refused", "RFC 9112 §3", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n"),
	tooMuch("a_header_of_a_megabyte_is_refused", "its memory is the edge's (RFC 6585 §5)", asked("X: "+strings.Repeat("a", 1<<20))),
	tooMuch("a_header_of_10,000_fields_is_refused", "each costs the origin memory (RFC 6585 §5)", asked(strings.Split(strings.Repeat("X-Many: a field like others|", 10000), "|")[:10000]...)),
	tooMuch("a_target_of_a_megabyte_is_refused", "RFC 9110 §15.5.15", "GET /attack"+strings.Repeat("a", 1<<20)+" HTTP/1.1\r\nHost: "+Host+"\r\n\r\n"),
	{name: "requests_in_a_row_are_each_answered", wire: func(t testing.TB, start Start) {
		a := attack(t, start, asked()+post("hello", "Content-Length: 5")+chunks("5\r\nhello\r\n0\r\n\r\n"))
		assert.Equal(t, []int{200, 200, 200, 200}, a.answers, "good requests, sent without a wait, are no attack (RFC 9112 §9.3.2)")
		assert.Len(t, a.requests, 4)
	}},
	{name: "what_follows_a_refused_upgrade_is_a_request_like_others", wire: func(t testing.TB, start Start) {
		r := newRecorder(t)
		r.respond = func(_ int, h heard) string {
			if h.header.Get("Upgrade") != "" {
				return strings.Replace(ok("no"), "200 OK", "426 Upgrade Required", 1)
			}
			return ok("well")
		}
		// attack's own check is the point: behind a tunnel, the second request would
		// reach the origin without X-Forwarded-For.
		attackWith(t, start, r, upgradeRequest("/attack")+hidden)
	}},
}

// cut is the leaf that a request with such content does not reach the origin as a
// whole: by then, its header may have been passed on.
func cut(name, why, octets string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) {
		a := attack(t, start, octets)
		for _, h := range a.requests {
			assert.NotContains(t, h.target, "/attack", "%s: the origin got it as a whole, with content %q", why, h.body)
			assert.NotContains(t, h.target, "/last", "%s: where the next request begins is anybody's guess", why)
		}
	}}
}
