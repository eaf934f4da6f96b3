package edgetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// site is an origin that speaks good HTTP, with an edge in front of it.
type site struct {
	edge   string
	client *http.Client

	mu    sync.Mutex
	pages map[string]*page // by the first part of their path; guarded by mu
}

func newSite(t testing.TB, start Start) *site {
	s := &site{pages: map[string]*page{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)} // origins break off on purpose
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ln) // ends by Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	s.edge = start(t, ln.Addr().String())
	transport := &http.Transport{
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.edge)
		},
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s
}

// ServeHTTP is the origin.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	p := s.pages[name]
	s.mu.Unlock()
	if p == nil {
		http.NotFound(w, r)
		return
	}
	p.asked.Add(1)
	p.handler(w, r)
}

// page is a part of the site, with a path that nobody else has.
type page struct {
	s       *site
	path    string // with a slash at both ends
	handler http.HandlerFunc
	asked   atomic.Int64 // requests that reached the origin
}

var pageNumber atomic.Int64

// page makes a part of the site that answers by h.
func (s *site) page(h http.HandlerFunc) *page {
	name := fmt.Sprint("p", pageNumber.Add(1))
	p := &page{s: s, path: "/" + name + "/", handler: h}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[name] = p
	return p
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
	err  error // in its content
}

// get asks for p by GET, with fields such as "Accept: text/html".
func (p *page) get(t testing.TB, fields ...string) answer {
	t.Helper()
	return p.do(t, http.MethodGet, nil, fields...)
}

// do asks for p.
func (p *page) do(t testing.TB, method string, content io.Reader, fields ...string) answer {
	t.Helper()
	req := p.request(t, method, content, fields...)
	resp, err := p.s.client.Do(req)
	require.NoError(t, err, "%s %s %v: no answer", method, p.path, fields)
	return finish(resp)
}

// finish reads resp to its end.
func finish(resp *http.Response) answer {
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err := io.Copy(&body, resp.Body)
	return answer{resp, body.String(), err}
}

// request is one for p, with a deadline. A field's name may be Host.
func (p *page) request(t testing.TB, method string, content io.Reader, fields ...string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, "http://"+Host+p.path, content)
	require.NoError(t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	return req
}

// seen is what the origin got.
type seen struct {
	*http.Request
	body string
	err  error
}

// echo is a page that hands over each request that it gets, and answers "well".
func (s *site) echo() (*page, <-chan seen) {
	requests := make(chan seen, 100)
	return s.page(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		select {
		case requests <- seen{r, string(body), err}:
		default: // a leaf that asks so often is at fault already
		}
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("well"))
	}), requests
}

// says is an origin's answer that is always the same: fields such as
// "Cache-Control: max-age=60" and a text.
func says(text string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		set(w.Header(), fields...)
		_, _ = io.WriteString(w, text)
	}
}

func set(h http.Header, fields ...string) {
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		h.Add(name, value)
	}
}

// wait receives from c, or fails t.
func wait[T any](t testing.TB, c <-chan T, what string, args ...any) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(deadline):
		require.Fail(t, fmt.Sprintf("waited %s in vain: %s", deadline, fmt.Sprintf(what, args...)))
	}
	return v
}

// eventually waits until ok holds, or fails t.
func eventually(t testing.TB, ok func() bool, what string, args ...any) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			require.Fail(t, fmt.Sprintf("waited %s in vain: %s", deadline, fmt.Sprintf(what, args...)))
		}
	}
}

// isTimeout reports whether err came of waiting for too long.
func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
