package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/solution/drain"
)

// ServeHTTP forwards r to a backend, and its answer to the client.
//
// The backend is told by X-Forwarded-For, X-Forwarded-Host and X-Forwarded-Proto
// who asked whom and how. What the client wrote into them, and into Forwarded,
// is not believed and goes no further. The Host is the client's. Parameters of
// a query that can be read in two ways ("a;b", "%zz") are dropped.
//
// Where no backend gave an answer, the client gets 503 with Retry-After if none
// is available; 504 if one took too long; 413, 408 or 400 if its own body was
// too large, too slow or broken off; else 502. One that left gets nothing: 499 is noted.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") != "" {
		w = once{w}
	}
	h.proxy.ServeHTTP(w, r)
}

// once drops a 100 Continue that came from the backend. By then the body is
// being read, for which the server sends a 100 of its own: the client would get
// one or two, as it happens.
type once struct{ http.ResponseWriter }

func (o once) WriteHeader(status int) {
	if status != http.StatusContinue {
		o.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap is for http.ResponseController.
func (o once) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func (h *Handler) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = h.c.Scheme, p.In.Host // send puts the backend there
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		},
		Transport:     h,
		FlushInterval: -1, // at once: how long a piece may wait is not ours to say
		BufferPool:    buffers{},
		ErrorHandler:  h.Fail,
		ErrorLog:      slog.NewLogLogger(h.c.Log.Handler(), slog.LevelWarn),
	}
}

// Fail answers r, which got err instead of an answer, as ServeHTTP says: for a
// proxy that forwards by RoundTrip. r is the client's request.
func (h *Handler) Fail(w http.ResponseWriter, r *http.Request, err error) {
	status, level := Status(r, err), slog.LevelWarn
	switch status {
	case StatusClientClosedRequest:
		level = slog.LevelInfo // the client's business: as a 502 it would wake somebody up at night
	case http.StatusServiceUnavailable:
		seconds := (h.c.RetryAfter + time.Second - 1) / time.Second // rounded up
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	h.c.Log.Log(r.Context(), level, "dispatch: no answer", "status", status, "method", r.Method, "host", r.Host, "err", err)
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status)) // the error names backends, and is for the log
	if status == StatusClientClosedRequest {
		text = ""
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // to a client that may be gone
}

// Status is what err, RoundTrip's error for r, amounts to.
func Status(r *http.Request, err error) int {
	var timeout net.Error
	var tooLarge *http.MaxBytesError
	var body *bodyError
	switch {
	case errors.Is(r.Context().Err(), context.Canceled):
		return StatusClientClosedRequest
	case errors.Is(err, balancer.ErrNoBackend), errors.Is(err, drain.ErrDraining):
		return http.StatusServiceUnavailable
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &body):
		if errors.As(err, &timeout) && timeout.Timeout() {
			return http.StatusRequestTimeout
		}
		return http.StatusBadRequest
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// buffers pools what answers are copied by.
type buffers struct{}

const bufferSize = 32 << 10

var pool = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func (buffers) Get() []byte { return pool.Get().(*[bufferSize]byte)[:] }

func (buffers) Put(b []byte) {
	if cap(b) >= bufferSize {
		pool.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}
