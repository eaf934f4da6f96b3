package edgetest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder is an origin that keeps every octet that reaches it, and answers
// whatever the strictest reading of them takes for a request.
type recorder struct {
	addr string
	// respond is what it sends for the n-th request, from 1, over all of its
	// connections. The connection is closed behind it if it ends in ends.
	respond func(n int, r heard) string

	mu     sync.Mutex
	conns  []*recording // guarded by mu
	count  int          // requests; guarded by mu
	fault  error        // of what came; the first; guarded by mu
	heards []heard      // guarded by mu
}

// ends is what an answer ends in where the origin then closes the connection.
// It is not sent.
const ends = "\x00end"

// recording is what came over one connection.
type recording struct {
	conn net.Conn
	text []byte // guarded by the recorder's mu
}

// heard is a request as it reached the origin.
type heard struct {
	method, target string
	header         textproto.MIMEHeader
	body           string
}

// marker is a field that the recorder's answers have, and an edge's own have not.
const marker = "X-From-Origin"

func newRecorder(t testing.TB) *recorder {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &recorder{addr: ln.Addr().String()}
	r.respond = func(int, heard) string { return ok("well") }
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c := &recording{conn: conn}
			r.mu.Lock()
			r.conns = append(r.conns, c)
			r.mu.Unlock()
			all.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		r.mu.Lock()
		for _, c := range r.conns {
			_ = c.conn.Close()
		}
		r.mu.Unlock()
		all.Wait()
	})
	return r
}

// ok is a good answer.
func ok(text string, fields ...string) string {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\n%s: yes\r\nContent-Length: %d\r\nCache-Control: no-store\r\n", marker, len(text))
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + "\r\n" + text
}

// serve answers what comes over c.
func (r *recorder) serve(c *recording) {
	defer c.conn.Close()
	in := bufio.NewReader(io.TeeReader(c.conn, writer(func(p []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		c.text = append(c.text, p...)
	})))
	for {
		h, err := hear(in)
		if err == io.EOF {
			return
		}
		r.mu.Lock()
		if err != nil {
			if _, broken := err.(*strictError); broken && r.fault == nil {
				r.fault = err
			}
			r.mu.Unlock()
			return
		}
		r.count++
		n := r.count
		r.heards = append(r.heards, h)
		respond := r.respond
		r.mu.Unlock()
		text, last := strings.CutSuffix(respond(n, h), ends)
		if _, err := io.WriteString(c.conn, text); err != nil || last {
			return
		}
	}
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// got are the requests so far, the octets of all connections, and what is wrong
// with them.
func (r *recorder) got() (requests []heard, octets string, fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for i, c := range r.conns {
		fmt.Fprintf(&b, "connection %d: %.1500q\n", i+1, c.text)
	}
	return append([]heard(nil), r.heards...), b.String(), r.fault
}

func newReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

// strictError is that what came is no request, or one that can be read in two ways.
type strictError struct{ what string }

func (e *strictError) Error() string { return e.what }

func broken(format string, args ...any) error { return &strictError{fmt.Sprintf(format, args...)} }

// hear reads a request to the letter of RFC 9112: what two readers could take
// differently is an error. io.EOF is that nothing more came.
func hear(in *bufio.Reader) (h heard, err error) {
	line, err := strictLine(in)
	if err != nil {
		return h, err
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0" || !isToken(parts[0]) {
		return h, broken("request line %q (RFC 9112 §3)", line)
	}
	h = heard{method: parts[0], target: parts[1], header: textproto.MIMEHeader{}}
	if strings.ContainsFunc(h.target, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return h, broken("target %q (RFC 9112 §3.2)", h.target)
	}
	if h.header, err = strictFields(in); err != nil {
		return h, unexpected(err)
	}
	if n := len(h.header["Host"]); n != 1 {
		return h, broken("%d Host fields (RFC 9112 §3.2): %v", n, h.header)
	}
	length, chunked := h.header["Content-Length"], h.header["Transfer-Encoding"]
	switch {
	case len(length) > 0 && len(chunked) > 0:
		return h, broken("Content-Length %q beside Transfer-Encoding %q (RFC 9112 §6.3)", length, chunked)
	case len(length) > 1:
		return h, broken("Content-Length %q (RFC 9112 §6.3)", length)
	case len(chunked) > 1 || len(chunked) == 1 && !strings.EqualFold(chunked[0], "chunked"):
		return h, broken("Transfer-Encoding %q (RFC 9112 §6.1)", chunked)
	case len(chunked) == 1 && parts[2] == "HTTP/1.0":
		return h, broken("Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)")
	case len(chunked) == 1:
		h.body, err = strictChunks(in)
	case len(length) == 1:
		n, atoiErr := strconv.ParseUint(length[0], 10, 31)
		if atoiErr != nil || strings.Trim(length[0], "0123456789") != "" {
			return h, broken("Content-Length %q (RFC 9110 §8.6)", length[0])
		}
		body := make([]byte, n)
		_, err = io.ReadFull(in, body)
		h.body = string(body)
	}
	return h, unexpected(err)
}

// unexpected is err, where an end of the connection is not the end of a request.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// strictLine reads a line that ends in CRLF and holds no other control characters
// than tabs.
func strictLine(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	if err != nil && text != "" {
		return "", io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	line, whole := strings.CutSuffix(text, "\r\n")
	if !whole || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return "", broken("line %q: a control character, or no CRLF at its end (RFC 9112 §2.2)", text)
	}
	return line, nil
}

func strictFields(in *bufio.Reader) (textproto.MIMEHeader, error) {
	h := textproto.MIMEHeader{}
	for {
		line, err := strictLine(in)
		if line == "" || err != nil {
			return h, err
		}
		name, value, found := strings.Cut(line, ":")
		if !found || !isToken(name) {
			return h, broken("field %q (RFC 9112 §5)", line)
		}
		h.Add(name, strings.Trim(value, " \t"))
	}
}

// strictChunks reads content in chunks, and the trailer.
func strictChunks(in *bufio.Reader) (string, error) {
	var body []byte
	for {
		line, err := strictLine(in)
		if err != nil {
			return "", err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil || strings.Trim(size, "0123456789abcdefABCDEF") != "" {
			return "", broken("chunk size %q (RFC 9112 §7.1)", line)
		}
		if n == 0 {
			_, err := strictFields(in)
			return string(body), err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return "", err
		}
		if !bytes.HasSuffix(chunk, []byte("\r\n")) {
			return "", broken("chunk %q has no CRLF behind it (RFC 9112 §7.1)", chunk)
		}
		body = append(body, chunk[:n]...)
	}
}

// isToken is RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

// conn is a client's connection to the edge, octet by octet.
type conn struct {
	net.Conn
	in *bufio.Reader
}

// dial connects to the edge at addr. All that is done with it ends in time.
func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, deadline)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(2*deadline)))
	return &conn{c, bufio.NewReader(c)}
}

// send writes text. An edge that refuses may have closed already.
func (c *conn) send(text string) { _, _ = io.WriteString(c.Conn, text) }

// answer reads one answer to a request by method.
func (c *conn) answer(t testing.TB, method string) answer {
	t.Helper()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	require.NoError(t, err, "reading an answer to %s", method)
	return finish(resp)
}

// final reads answers up to the first that is not 1xx, or fails t.
func (c *conn) final(t testing.TB, method string) answer {
	t.Helper()
	for {
		if a := c.answer(t, method); a.StatusCode >= 200 {
			return a
		}
	}
}

// rest reads until the edge closes the connection, or for d.
func (c *conn) rest(d time.Duration) (text string, closed bool) {
	_ = c.SetReadDeadline(time.Now().Add(d))
	all, err := io.ReadAll(c.in)
	return string(all), !isTimeout(err)
}

// attacked is what came of octets that should not get through as they are.
type attacked struct {
	raw      string // all that the client got
	closed   bool
	answers  []int   // statuses of the final answers, up to what is none
	origins  int     // of these, how many the origin gave
	requests []heard // that reached the origin
	octets   string  // as they reached it
}

// attack starts an edge, sees that it serves, sends octets to it over one
// connection, and reads until the edge closes it. Behind the octets goes a request
// that asks for that, so that it does even where nothing was refused.
//
// Whatever the edge makes of them, this must hold: what reaches the origin can be
// read in one way only; each request there was sent by the edge, which is to say
// with its X-Forwarded-For; and the client got as many answers of the origin as it
// had requests.
func attack(t testing.TB, start Start, octets string) attacked {
	t.Helper()
	r := newRecorder(t)
	return attackWith(t, start, r, octets)
}

func attackWith(t testing.TB, start Start, r *recorder, octets string) attacked {
	t.Helper()
	addr := start(t, r.addr)
	for _, good := range []string{
		"GET /good HTTP/1.1\r\nHost: " + Host + "\r\n\r\n",
		"POST /good HTTP/1.1\r\nHost: " + Host + "\r\nContent-Length: 5\r\n\r\nhello",
		"POST /good HTTP/1.1\r\nHost: " + Host + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		c := dial(t, addr)
		c.send(good)
		a := c.final(t, "GET")
		require.Equal(t, 200, a.StatusCode, "nothing is proved by an edge that refuses all: %q", good)
		require.NoError(t, c.Close())
	}
	before, _, fault := r.got()
	require.NoError(t, fault, "of good requests")

	c := dial(t, addr)
	c.send(octets)
	c.send(closing)
	var a attacked
	a.raw, a.closed = c.rest(deadline)
	_ = c.Close()
	time.Sleep(quiet / 5) // for what must not come: the origin may still be reading it
	read := newReader(a.raw)
	for {
		resp, err := http.ReadResponse(read, nil)
		if err != nil {
			break
		}
		whole := finish(resp)
		if resp.StatusCode < 200 {
			continue
		}
		a.answers = append(a.answers, resp.StatusCode)
		if whole.Header.Get(marker) != "" {
			a.origins++
		}
	}
	all, text, fault := r.got()
	a.requests, a.octets = all[len(before):], text
	in := fmt.Sprintf("as in: %.300q; to the origin went:\n%.2000s", octets, text)
	assert.NoError(t, fault, "two readers would take what reached the origin for different requests, %s", in)
	for _, h := range a.requests {
		assert.Contains(t, h.header.Get("X-Forwarded-For"), "127.0.0.1", "%s %s reached the origin without the edge's X-Forwarded-For: it was smuggled, %s", h.method, h.target, in)
	}
	assert.GreaterOrEqual(t, a.origins, len(a.requests), "the origin had %d requests, of which the client got %d answered, %s", len(a.requests), a.origins, in)
	return a
}

// closing ends a connection in good order.
const closing = "GET /last HTTP/1.1\r\nHost: " + Host + "\r\nConnection: close\r\n\r\n"

// reached reports whether the origin got a request for that path.
func (a attacked) reached(path string) bool {
	return slices.ContainsFunc(a.requests, func(h heard) bool { return strings.HasPrefix(h.target, path) })
}

// refused is that the first answer was an error of the edge, and that nothing of
// what came reached the origin.
func (a attacked) refused(t testing.TB, why string) {
	t.Helper()
	assert.Empty(t, a.requests, "%s: it must be refused, and reached the origin:\n%.2000s", why, a.octets)
	if len(a.answers) > 0 { // the edge may also just close the connection
		assert.GreaterOrEqual(t, a.answers[0], 400, "%s: it must be refused: %.300q", why, a.raw)
	}
	assert.True(t, a.closed, "%s: where the next request begins is anybody's guess, so the connection has to end", why)
}
