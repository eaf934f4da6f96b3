// Package framing is a guard against requests that can be read in two ways.
//
// On an HTTP/1.1 connection nothing but the text says where one request ends and
// the next begins. If a proxy and the server behind it read that text differently,
// a client can hide a second request inside of the first, past all routes and
// limits, or before the next customer's: request smuggling. net/http is strict
// and mends what it takes: of Transfer-Encoding and Content-Length together it
// drops one, a bare LF ends a line. That is safe as long as all that stands before
// it and behind it mends the same way. The guard takes nothing that needs mending.
//
// In the story, the gatekeeper sends away an order with two table numbers, instead
// of choosing one.
//
// Source: RFC 9112 §2.2 (message parsing), §5 (field syntax), §6.3 (message body
// length), §7.1 (chunked) and §11.2 (request smuggling).
package framing

import (
	"crypto/tls"
	"errors"
	"net"
)

// Guard returns conn, over which http.Server is to read HTTP/1.1 requests, with
// a guard over what is read. It is for a server's connection, behind TLS, and not
// for HTTP/2, where each message has its length.
//
// Refused are, in the head of a request:
//
//   - Transfer-Encoding and Content-Length together; either of them twice; a
//     length that is not 1 to 18 digits ("+5", "5, 5"); a coding that is not
//     exactly chunked; Transfer-Encoding in HTTP/1.0
//   - no Host in HTTP/1.1, or two anywhere
//   - a line that ends in a bare LF, a CR or NUL or other control character inside
//     of a line, a folded line, a space before the colon, a field name or method
//     that is no token, an empty line before the request, more than one space in
//     the request line, octets in the target that are not visible ASCII, versions
//     other than HTTP/1.0 and 1.1
//
// and in a chunked body: a size that is not 1 to 15 hexadecimal digits, anything
// but CRLF behind a chunk, and in the trailers all of the above, and Host,
// Transfer-Encoding and Content-Length. Chunk extensions pass, if they are visible
// ASCII, spaces and tabs: RFC 9112 §7.1.1 wants them to be ignored, and net/http
// drops them, so that none reaches a backend.
//
// For a refusal, http.Server reads something that it refuses itself: after the
// answers to what came before, the client gets 400 and the connection is closed.
// If it is in the body, the handler's Read fails. log, unless nil, is told the
// reason, by the goroutine that reads. Whatever the client sends after that is
// thrown away.
//
// After a request with Upgrade comes what is not HTTP, perhaps. It passes as it
// is, and so that it is never read as HTTP, the guard adds "Connection: close" to
// that request: http.Server closes the connection after its answer, unless the
// answer is 101 and a handler has taken over the connection. In HTTP/1.0 there is
// no Upgrade (RFC 9110 §7.8).
//
// The guard adds no buffer: bodies stream. As other connections, the result is to
// be read by one goroutine at a time. It has CloseWrite, which fails if conn has
// none, and, if conn has it, ConnectionState, from which http.Server takes
// Request.TLS. Writes are conn's own.
func Guard(conn net.Conn, log func(reason string)) net.Conn {
	if log == nil {
		log = func(string) {}
	}
	g := &guard{Conn: conn, log: log}
	if over, ok := conn.(stater); ok {
		return secured{g, over}
	}
	return g
}

type stater interface{ ConnectionState() tls.ConnectionState }

type secured struct {
	*guard
	stater
}

type guard struct {
	net.Conn
	log     func(reason string)
	scanner scanner
	pending []byte // checked, and to be read next
}

// poison is what no reader of HTTP takes, wherever it stands in a head, a chunk's
// first or last line, or a trailer.
const poison = "\r\x00\r\n\r\n"

// noMore is a field for http.Server.
const noMore = "Connection: close\r\n"

func (g *guard) Read(p []byte) (int, error) {
	for {
		if len(g.pending) > 0 {
			n := copy(p, g.pending)
			g.pending = g.pending[n:]
			return n, nil
		}
		n, err := g.Conn.Read(p)
		if g.scanner.fault != "" {
			if err != nil {
				return 0, err
			}
			continue // thrown away: an error or an end now would cut the answers to earlier requests
		}
		good := g.scanner.scan(p[:n])
		if good == n && !g.scanner.upgraded {
			return n, err
		}
		g.mend(p[good:n])
		if good > 0 {
			return good, nil
		}
		if err != nil && len(g.pending) == 0 {
			return 0, err
		}
	}
}

// mend makes pending what is to be read in place of rest, at whose begin the
// scanner stopped.
func (g *guard) mend(rest []byte) {
	g.pending = nil
	for {
		switch {
		case g.scanner.fault != "":
			g.log(g.scanner.fault)
			g.pending = append(g.pending, poison...)
			return
		case g.scanner.upgraded:
			g.scanner.upgraded = false
			g.pending = append(g.pending, noMore...)
		}
		good := g.scanner.scan(rest)
		g.pending = append(g.pending, rest[:good]...)
		if rest = rest[good:]; len(rest) == 0 && g.scanner.fault == "" && !g.scanner.upgraded {
			return
		}
	}
}

func (g *guard) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
