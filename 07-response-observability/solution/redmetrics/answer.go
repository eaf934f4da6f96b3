package redmetrics

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// answer is a ResponseWriter that remembers the status.
type answer struct {
	http.ResponseWriter
	code int // 0 until the answer is begun
}

// watch returns what next is to be called with, in place of w and r.
func watch(w http.ResponseWriter, r *http.Request) (*answer, *http.Request) {
	if r.Context().Value(routeKey{}) == nil {
		r = r.WithContext(WithRoute(r.Context()))
	}
	return &answer{ResponseWriter: w}, r
}

// status is what was answered, as far as is known now: 200 until something else is,
// since that is what net/http sends of a handler that writes nothing. begun is
// whether the answer was begun.
func (a *answer) status() (status int, begun bool) {
	if a.code == 0 {
		return http.StatusOK, false
	}
	return a.code, true
}

func (a *answer) WriteHeader(status int) {
	if a.code == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) { // other 1xx come before the answer
		a.code = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) begin() {
	if a.code == 0 {
		a.code = http.StatusOK
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}

// ReadFrom lets a file go from the disk to the network, if what is below can do that.
func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	a.begin()
	return io.Copy(a.ResponseWriter, r)
}

// Unwrap is for http.ResponseController. gin, and others, ask for an http.Flusher and
// an http.Hijacker instead.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError is what http.ResponseController asks for. It begins the answer.
func (a *answer) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}
