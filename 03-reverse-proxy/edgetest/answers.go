package edgetest

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// evil is an answer that an origin, or somebody who can write into its answers,
// would like others to get.
const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: yes\r\n\r\nevil"

// answers is what origins send that could be read in two ways (RFC 9112 §6.3,
// §11.1: response splitting). Clients must get it in one, or a 502.
var answers = []leaf{
	splits("a_CR_in_a_field_splits_nothing", "RFC 9112 §2.2", ok("well", "X-A: a\rX-Evil: yes")),
	splits("NUL_in_a_field_splits_nothing", "RFC 9110 §5.5", ok("well", "X-A: a\x00b")),
	splits("a_space_before_the_colon_splits_nothing", "RFC 9112 §5.1", ok("well", "X-Evil : yes")),
	splits("a_folded_line_splits_nothing", "RFC 9112 §5.2", ok("well", "X-A: a\r\n X-Evil: yes")),
	refusesAnswer("two_Content-Lengths_that_differ_are_502", "RFC 9112 §6.3", ok("well", "Content-Length: 400")),
	refusesAnswer("a_Content-Length_that_is_no_number_is_502", "RFC 9112 §6.3", strings.Replace(ok("well"), "Content-Length: 4", "Content-Length: 4x", 1)),
	splits("Content-Length_beside_Transfer-Encoding_is_one_framing", "RFC 9112 §6.3",
		"HTTP/1.1 200 OK\r\n"+marker+": yes\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\n\r\n"),
	refusesAnswer("an_answer_that_is_no_HTTP_is_502", "RFC 9112 §4", "SSH-2.0-OpenSSH_9.2 some more text, so that it is not short\r\n\r\n"),
	refusesAnswer("a_header_of_a_megabyte_is_502", "its memory is the edge's", ok("well", "X: "+strings.Repeat("a", 1<<20))),
	surplus("octets_behind_the_length_are_nobody's", ok("well")+evil),
	surplus("octets_behind_the_last_chunk_are_nobody's", "HTTP/1.1 200 OK\r\n"+marker+": yes\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\n\r\n"+evil),
	surplus("octets_behind_204_are_nobody's", "HTTP/1.1 204 No Content\r\n"+marker+": yes\r\n\r\n"+evil),
	surplus("octets_behind_304_are_nobody's", "HTTP/1.1 304 Not Modified\r\n"+marker+": yes\r\nETag: \"1\"\r\n\r\n"+evil),
	{name: "a_chunk_too_large_to_count_is_not_whole", wire: func(t testing.TB, start Start) {
		r := newRecorder(t)
		r.respond = func(int, heard) string {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000004\r\nwell\r\n0\r\n\r\n" + ends
		}
		c := dial(t, start(t, r.addr))
		c.send(asked("Connection: close"))
		got, _ := c.rest(deadline)
		a, err := strictAnswer(got)
		assert.True(t, err != nil || a.status >= 500, "2^64+4 is no 4 (RFC 9112 §7.1), and the client got a whole answer: %q", got)
	}},
	{name: "an_answer_without_an_end_of_its_own_ends_with_the_connection", wire: func(t testing.TB, start Start) {
		r := newRecorder(t)
		r.respond = func(int, heard) string { return "HTTP/1.1 200 OK\r\n" + marker + ": yes\r\n\r\nwell" + ends }
		c := dial(t, start(t, r.addr))
		c.send(asked())
		assert.Equal(t, "well", c.final(t, "GET").body, "RFC 9112 §6.3")
	}},
}

// splits is the leaf that an origin's answer reaches the client as one whose
// header is clean, or as a 502.
func splits(name, why, answer string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) {
		got := through(t, start, answer)
		a, err := strictAnswer(got)
		require.NoError(t, err, "%s: the origin sent %.300q, and the client got %.300q", why, answer, got)
		if a.status >= 500 {
			return
		}
		assert.NotContains(t, a.header, "X-Evil", "%s: the origin sent %.300q", why, answer)
		assert.Equal(t, "well", a.body, "%s: the origin sent %.300q", why, answer)
	}}
}

// refusesAnswer is the leaf that the client gets a 502 in its place.
func refusesAnswer(name, why, answer string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) {
		got := through(t, start, answer)
		a, err := strictAnswer(got)
		require.NoError(t, err, "%s: the client got %.300q", why, got)
		assert.Equal(t, 502, a.status, "%s: the origin sent %.300q", why, answer)
	}}
}

// through starts an edge, sees that it serves, and returns what its client gets
// when the origin then answers like this.
func through(t testing.TB, start Start, answer string) string {
	t.Helper()
	r := newRecorder(t)
	r.respond = func(n int, _ heard) string {
		if n == 1 {
			return ok("well")
		}
		return answer + ends
	}
	addr := start(t, r.addr)
	c := dial(t, addr)
	c.send(asked("Connection: close"))
	require.Equal(t, "well", c.final(t, "GET").body, "nothing is proved by an edge that refuses all")
	c = dial(t, addr)
	c.send(asked("Connection: close"))
	got, closed := c.rest(deadline)
	require.True(t, closed, "the client asked for the connection to be closed: %.300q", got)
	return got
}

// surplus is the leaf that what an origin sends behind its answer is no answer to
// the next request.
func surplus(name, first string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) {
		r := newRecorder(t)
		r.respond = func(n int, _ heard) string {
			if n == 1 {
				return first
			}
			return ok("well")
		}
		addr := start(t, r.addr)
		for i := range 3 {
			c := dial(t, addr) // another client each time
			c.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", i, Host))
			got, _ := c.rest(deadline)
			assert.NotContains(t, got, "evil", "client %d got what was sent behind the answer to the first (RFC 9112 §11.1)", i+1)
			if i > 0 {
				assert.True(t, strings.HasSuffix(got, "well"), "client %d got %.300q", i+1, got)
			}
		}
	}}
}

// whole is an answer as the client got it.
type whole struct {
	status int
	header map[string][]string
	body   string
}

// strictAnswer reads the one answer that got is to the letter.
func strictAnswer(got string) (a whole, err error) {
	in := newReader(got)
	line, err := strictLine(in)
	if err != nil {
		return a, unexpected(err)
	}
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %3d", &a.status); err != nil {
		return a, broken("status line %q", line)
	}
	h, err := strictFields(in)
	if err != nil {
		return a, unexpected(err)
	}
	a.header = h
	switch {
	case len(h["Content-Length"])+len(h["Transfer-Encoding"]) > 1:
		return a, broken("two framings: %v", h)
	case len(h["Transfer-Encoding"]) == 1:
		a.body, err = strictChunks(in)
	case len(h["Content-Length"]) == 1:
		var n int
		if _, err := fmt.Sscan(h["Content-Length"][0], &n); err != nil || n < 0 || n > 1<<20 {
			return a, broken("Content-Length %q", h["Content-Length"])
		}
		body := make([]byte, n)
		_, err = io.ReadFull(in, body)
		a.body = string(body)
	default:
		var body []byte
		body, err = io.ReadAll(in)
		a.body = string(body)
	}
	if err != nil {
		return a, unexpected(err)
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		return a, broken("behind the answer comes %q", rest)
	}
	return a, nil
}
