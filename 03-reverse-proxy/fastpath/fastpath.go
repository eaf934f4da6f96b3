// Package fastpath is a lean http.RoundTripper to backends that speak HTTP/1.1
// over plain TCP, for requests without a body. All others go by net/http's
// transport, which can do everything, and costs for it: two goroutines for each
// connection, and five changes between them for each request. Most requests need
// none of that. Here whoever asks also writes, waits and reads.
//
// What is given up for that: nobody watches a connection while it is idle. So it
// is looked at before it is used again (see [conn.quiet]). HTTP/2, TLS, proxies
// and retries of requests with a body are the other transport's.
//
// In the story, the waiter who takes the order fetches the plate himself,
// instead of passing notes to two runners.
//
// Source: RFC 9112, §6.3 (message body length), §9.3.1 (retrying on a connection
// that was closed) and §11.1 (response splitting); net/http's Transport.
package fastpath

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Transport is the http.RoundTripper. It may be used by many goroutines at once.
// Make one with New.
type Transport struct {
	next *http.Transport

	mu     sync.Mutex         // guards what follows
	idle   map[string][]*conn // by address, in the order in which they fell idle
	sweep  *time.Timer        // runs expire; nil while idle is empty
	closed bool               // CloseIdleConnections was called, and no request came since
}

// New returns a Transport over next, which carries what is not for the fast
// path, and whose settings hold for both: DialContext, ResponseHeaderTimeout,
// MaxIdleConnsPerHost, IdleConnTimeout and DisableKeepAlives.
// MaxResponseHeaderBytes, too, but its default is 1 MiB here, which is what a
// server takes from its clients. See upstream.New, of chapter 2. next must not be
// changed any more.
//
// Whoever has no more use for the Transport calls CloseIdleConnections.
func New(next *http.Transport) *Transport {
	return &Transport{next: next, idle: map[string][]*conn{}}
}

// RoundTrip sends r to the host of its URL and returns the answer, as
// http.RoundTripper says.
//
// Of the fast path are GET, HEAD, OPTIONS, TRACE and DELETE without a body, and
// without Upgrade or Expect, to a URL with http. When its context is done, the
// exchange ends with the context's error, during the body, too, but not before
// its first 10 ms are over. A backend that does not answer in time is an error
// whose Timeout() is true (net.Error).
//
// A connection that was used before may have been closed by the backend in the
// same moment. If it ends before the first byte of an answer, the request is sent
// once more, by a new connection: all of these methods may be repeated (RFC 9110
// §9.2.2).
//
// An answer whose end is in doubt is an error: with both Transfer-Encoding and
// Content-Length, with either of them twice or unreadable, with a bare LF, a
// folded line or anything else that RFC 9112 does not allow. Then, or if a
// backend sent more than its answer, the connection is closed: what follows might
// pass for the answer to the next request.
//
// The body is to be read by one goroutine; another may close it. Read to its end,
// it gives its connection back, and closed before that, it closes it. An answer
// without Content-Type has none, one with gzip stays as it is.
//
// Of httptrace these are called: GetConn, GotConn, WroteRequest,
// GotFirstResponseByte, Got1xxResponse, and what net.Dialer calls.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !lean(r) || !canLook {
		return t.next.RoundTrip(r)
	}
	head := heads.Get().(*[]byte)
	defer heads.Put(head)
	var err error
	if *head, err = appendRequest((*head)[:0], r); err != nil {
		return nil, err
	}
	trace := cmp.Or(httptrace.ContextClientTrace(r.Context()), &httptrace.ClientTrace{})
	addr := r.URL.Host
	if strings.LastIndexByte(addr, ':') <= strings.LastIndexByte(addr, ']') {
		addr += ":80"
	}
	for again := false; ; again = true {
		c, err := t.get(r.Context(), addr, again, trace)
		if err != nil {
			return nil, err
		}
		resp, err := t.exchange(c, r, *head, trace)
		if err == nil || !c.used || c.spoke || r.Context().Err() != nil || isTimeout(err) {
			return resp, err
		}
	}
}

// heads are what requests are written into.
var heads = sync.Pool{New: func() any { return new([]byte) }}

// lean reports whether r is for the fast path.
func lean(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodDelete:
	default:
		return false
	}
	return (r.Body == nil || r.Body == http.NoBody) && r.ContentLength == 0 && r.URL.Scheme == "http" &&
		len(r.Header["Upgrade"]) == 0 && len(r.Header["Expect"]) == 0
}

// appendRequest appends r's head. It is whole before anything is sent: half of
// one would be completed by the next request. What may not stand in it, such as
// a line break in a value, is an error.
func appendRequest(b []byte, r *http.Request) ([]byte, error) {
	host, target := cmp.Or(r.Host, r.URL.Host), r.URL.RequestURI()
	if !httpguts.ValidHostHeader(host) {
		return nil, fmt.Errorf("fastpath: host %q", host)
	}
	if strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return nil, fmt.Errorf("fastpath: request target %q", target)
	}
	b = append(append(b, cmp.Or(r.Method, http.MethodGet)...), ' ')
	b = append(append(b, target...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, host...), "\r\n"...)
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer": // of a body that is not there
			continue
		case "Te":
			if len(values) > 0 && len(r.Header["Connection"]) == 0 {
				b = append(b, "Connection: TE\r\n"...) // it is for this hop alone (RFC 9110 §10.1.4)
			}
		case "User-Agent":
			if len(values) > 0 && values[0] == "" {
				continue // as with net/http's transport, this means that there is to be none
			}
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("fastpath: field name %q", name)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return nil, fmt.Errorf("fastpath: value of %s: %q", name, value)
			}
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	if r.Close && len(r.Header["Connection"]) == 0 {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

// max1xx is how many interim answers may come before the final one.
const max1xx = 16

// exchange sends r's head by c and reads the answer's. On an error c is closed.
func (t *Transport) exchange(c *conn, r *http.Request, head []byte, trace *httptrace.ClientTrace) (*http.Response, error) {
	ctx := r.Context()
	fail := func(err error) (*http.Response, error) {
		c.release()
		_ = c.Close()
		return nil, because(ctx, fmt.Errorf("fastpath: %s: %w", c.addr, err))
	}

	_, err := c.Write(head)
	if trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
	if err != nil {
		return fail(err)
	}
	if _, err = c.r.Peek(1); err != nil {
		if err == io.EOF {
			err = errors.New("the backend closed the connection without an answer")
		}
		return fail(err)
	}
	c.spoke = true
	if trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}

	for range max1xx {
		text, err := c.block(int(cmp.Or(t.next.MaxResponseHeaderBytes, http.DefaultMaxHeaderBytes)))
		if err != nil {
			return fail(err)
		}
		a, err := parseAnswer(text, r)
		if err != nil {
			return fail(err)
		}
		if code := a.resp.StatusCode; code >= 100 && code < 200 {
			if code == http.StatusSwitchingProtocols {
				return fail(errors.New("101 Switching Protocols, which nobody asked for"))
			}
			if trace.Got1xxResponse != nil {
				if err := trace.Got1xxResponse(code, textproto.MIMEHeader(a.resp.Header)); err != nil {
					return fail(err)
				}
			}
			continue
		}
		c.headed()
		if ctx.Err() != nil { // or this has just overwritten the deadline of c.cut
			return fail(ctx.Err())
		}
		a.body = body{t: t, c: c, resp: &a.resp, left: a.length, keep: a.keep && !r.Close && !t.next.DisableKeepAlives}
		a.body.start(a.chunked)
		return &a.resp, nil
	}
	return fail(fmt.Errorf("more than %d interim answers", max1xx-1))
}

// because is err, or ctx's error if that is the cause of it.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
