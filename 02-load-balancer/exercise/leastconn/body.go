package leastconn

import (
	"io"
	"net/http"
	"sync"
)

// watch returns body, and calls over when it is over: read to its end, failed,
// or closed. It does so once, the first time that one of these happens. For a
// body that is empty to begin with, that is at once.
//
// The body of a 101 Switching Protocols is a connection in both directions. It
// is over when it is closed, and not before: who has nothing more to say may
// still listen.
func watch(body io.ReadCloser, over func()) io.ReadCloser {
	if body == nil || body == http.NoBody { // stays NoBody, which others look for
		over()
		return body
	}
	over = sync.OnceFunc(over)
	if conn, ok := body.(io.ReadWriteCloser); ok {
		return upgraded{conn, over}
	}
	return streamed{body, over}
}

type streamed struct {
	io.ReadCloser
	over func()
}

func (s streamed) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil { // io.EOF, too: some read to the end and close much later
		s.over()
	}
	return n, err
}

func (s streamed) Close() error {
	defer s.over()
	return s.ReadCloser.Close()
}

// upgraded keeps Write, without which no WebSocket gets through a proxy, and
// CloseWrite, without which one side cannot finish before the other.
type upgraded struct {
	io.ReadWriteCloser
	over func()
}

func (u upgraded) Close() error {
	defer u.over()
	return u.ReadWriteCloser.Close()
}

func (u upgraded) CloseWrite() error {
	if half, ok := u.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}
