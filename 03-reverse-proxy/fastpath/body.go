package fastpath

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"sync/atomic"

	"golang.org/x/net/http/httpguts"
)

// maxTrailer bounds what may stand behind a chunked body.
const maxTrailer = 16 << 10

// body is an answer's. It holds a connection, up to its end or Close.
type body struct {
	t      *Transport
	c      *conn
	resp   *http.Response
	chunks io.Reader   // nil, unless the body is chunked
	left   int64       // otherwise: how much is to come, -1 if all up to the connection's end
	keep   bool        // c may be used again
	err    error       // what Read ended with
	over   atomic.Bool // c was given back, or closed
}

// start puts b into its answer.
func (b *body) start(chunked bool) {
	switch {
	case chunked:
		b.chunks = httputil.NewChunkedReader(b.c.r)
	case b.left == 0:
		b.resp.Body = http.NoBody
		b.end(b.keep)
		return
	}
	b.resp.Body = b
}

func (b *body) Read(p []byte) (n int, err error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.over.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.chunks != nil:
		if n, err = b.chunks.Read(p); err == io.EOF {
			err = b.readTrailer()
		}
	case b.left < 0:
		n, err = b.c.r.Read(p)
	default:
		n, err = b.c.r.Read(p[:min(int64(len(p)), b.left)])
		if b.left -= int64(n); b.left == 0 {
			err = io.EOF // now, and not by another Read, which many leave out
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		if err != io.EOF {
			err = because(b.resp.Request.Context(), fmt.Errorf("fastpath: %s: body: %w", b.c.addr, err))
		}
		b.err = err
		b.end(err == io.EOF && b.keep)
	}
	return n, err
}

// Close gives up the rest of the body, if there is one.
func (b *body) Close() error {
	b.end(false)
	return nil
}

// end lets go of the connection, once: a later Close must not touch what is
// already another request's.
func (b *body) end(keep bool) {
	if !b.over.CompareAndSwap(false, true) {
		return
	}
	if b.c.release() && keep && b.c.r.Buffered() == 0 {
		b.t.put(b.c)
	} else {
		_ = b.c.Close()
	}
}

// readTrailer reads what stands behind the last chunk, up to and with the empty
// line. io.EOF means that all is well.
func (b *body) readTrailer() error {
	text, err := b.c.block(maxTrailer)
	if err != nil {
		return err
	}
	fields, err := parseFields(text)
	if err != nil {
		return err
	}
	for name, values := range fields {
		if !httpguts.ValidTrailerHeader(name) {
			continue // such as Content-Length: when all is said (RFC 9110 §6.5.1)
		}
		if b.resp.Trailer == nil {
			b.resp.Trailer = http.Header{}
		}
		b.resp.Trailer[name] = values
	}
	return io.EOF
}
