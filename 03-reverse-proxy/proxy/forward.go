package proxy

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"clicktocode.example/03-reverse-proxy/solution/forwarded"
	"clicktocode.example/03-reverse-proxy/solution/hopbyhop"
)

// ForwardConfig is what a Forward works with. What has no default is required.
type ForwardConfig struct {
	// Transport carries the requests: dispatch.Handler, for one. It sees the
	// client's Host, in the URL, too, with the scheme "http".
	Transport http.RoundTripper

	// Forwarded tells the backend who asked.
	Forwarded *forwarded.Forwarder

	// Fail answers r, the client's request, when Transport did not:
	// dispatch.Handler.Fail, for one. Nothing of an answer was written before,
	// but for 1xx.
	Fail func(w http.ResponseWriter, r *http.Request, err error)

	// UploadIdle ends a request when its body stands still for so long: the client
	// gets 408, or, if an answer has begun, it is cut. Zero means 30 s.
	UploadIdle time.Duration

	// TunnelIdle ends a connection that has changed its protocol, when nothing
	// has passed in either direction for so long. Zero means 10 min.
	TunnelIdle time.Duration

	// Log gets what went wrong after an answer had begun. nil is slog.Default().
	Log *slog.Logger
}

// Forward is an http.Handler that sends requests on, and brings back the
// answers. Make one with NewForward.
type Forward struct{ c ForwardConfig }

// NewForward returns a Forward that works as c says, or all faults of c.
func NewForward(c ForwardConfig) (*Forward, error) {
	var faults []error
	if c.Transport == nil || c.Forwarded == nil || c.Fail == nil {
		faults = append(faults, errors.New("proxy: Transport, Forwarded and Fail are required"))
	}
	if c.UploadIdle < 0 || c.TunnelIdle < 0 {
		faults = append(faults, fmt.Errorf("proxy: uploads idle for %v, tunnels for %v", c.UploadIdle, c.TunnelIdle))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.UploadIdle == 0 {
		c.UploadIdle = 30 * time.Second
	}
	if c.TunnelIdle == 0 {
		c.TunnelIdle = 10 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Forward{c}, nil
}

// ServeHTTP forwards r, and the answer to it.
//
// The backend gets the request as it came, without what was meant for this hop
// alone (package hopbyhop), with who asked (package forwarded), and without
// parameters of the query that can be read in two ways ("a;b", "%zz"). Answers
// come back the same way; fields that w holds already are the proxy's own, and
// stay. Trailers pass, those that were not announced, too, and interim answers
// (1xx), but for 100: that is the server's to say, once, when the body is asked
// for (RFC 9110 §10.1.1).
//
// Bodies are streamed. An answer of unknown length goes on piece by piece, at
// once; one with Content-Length by the buffer, as it has nothing to say until it
// is whole. If a backend answers before it has read the whole request, the client
// gets that answer, and on HTTP/1.1 its connection is closed after it.
//
// A request to change the protocol (Upgrade, as WebSockets do) passes, except to
// h2c: requests inside of that would pass unseen. From a 101 on bytes go both
// ways, until both sides are through, one breaks off, r's context is done, or
// nothing passes for TunnelIdle.
//
// When the answer breaks off in the middle, ServeHTTP panics with
// http.ErrAbortHandler, by which net/http cuts the connection: half an answer
// must not look like a whole one. No middleware may swallow that.
func (f *Forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if u := r.URL; r.Method == http.MethodConnect {
		refuse(w, http.StatusNotImplemented)
		return
	} else if u.Opaque != "" || !strings.HasPrefix(u.Path, "/") && u.Path != "*" {
		refuse(w, http.StatusBadRequest) // "GET http:admin HTTP/1.1": the backend would get "GET admin"
		return
	}
	x := &exchange{w: w, r: r}
	out := x.request(f.c)
	protocol := upgradeOf(r)
	if protocol != "" {
		out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	}
	if out.Body != nil {
		defer x.upload.end()
	}
	resp, err := f.c.Transport.RoundTrip(out)
	x.endInterim()
	if err != nil {
		x.mayClose()
		if x.upload.late.Load() { // to net/http it looks as if the client had left
			f.c.Log.Info("proxy: upload stands still", "method", r.Method, "host", r.Host, "err", err)
			refuse(w, http.StatusRequestTimeout)
			return
		}
		f.c.Fail(w, r, err)
		return
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		f.tunnel(w, r, resp, protocol)
		return
	}
	f.answer(x, resp)
}

// exchange is one request on its way. It is one piece of memory.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	url    url.URL
	upload upload
	trace  httptrace.ClientTrace

	mu    sync.Mutex // guards what follows, and w while the backend may send 1xx
	final bool       // there will be no more
}

// request is what goes on.
func (x *exchange) request(c ForwardConfig) *http.Request {
	r := x.r
	ctx := r.Context()
	if r.ProtoAtLeast(1, 1) { // older clients would take a 103 for the answer
		x.trace.Got1xxResponse = x.interim
		ctx = httptrace.WithClientTrace(ctx, &x.trace)
	}
	out := r.WithContext(ctx) // a copy, but for what it points to
	x.url = *r.URL
	x.url.Scheme, x.url.Host, x.url.User = "http", r.Host, nil
	x.url.RawQuery = cleanQuery(r.URL.RawQuery)
	out.URL, out.RequestURI, out.Close = &x.url, "", false

	h := make(http.Header, len(r.Header)+6)
	hopbyhop.Copy(h, r.Header)
	c.Forwarded.Set(h, r) // after Copy: what the client wrote does not count
	if httpguts.HeaderValuesContainsToken(r.Header["Te"], "trailers") {
		h["Te"] = []string{"trailers"}
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // otherwise net/http's transport says that it is Go's
	}
	out.Header = h
	if out.Body = nil; r.ContentLength != 0 && r.Body != nil {
		x.upload.src, x.upload.control, x.upload.idle = r.Body, http.NewResponseController(x.w), c.UploadIdle
		out.Body = &x.upload
		_ = x.upload.control.EnableFullDuplex() // or net/http reads the body itself, before an early answer, and from under the transport
	} else {
		delete(h, "Expect")
	}
	return out
}

// interim passes on a 1xx. The transport may call it from another goroutine.
func (x *exchange) interim(code int, header textproto.MIMEHeader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.final || code == http.StatusContinue || code == http.StatusSwitchingProtocols {
		return nil
	}
	h := x.w.Header()
	own := h.Clone() // of the final answer, not of this
	clear(h)
	hopbyhop.Copy(h, http.Header(header))
	x.w.WriteHeader(code)
	clear(h)
	for name, values := range own {
		h[name] = values
	}
	return nil
}

func (x *exchange) endInterim() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.final = true
}

// mayClose lets the connection be closed after an answer that comes before the
// end of the request's body: nobody will read the rest (RFC 9112 §9.3).
func (x *exchange) mayClose() {
	if x.upload.src != nil && !x.upload.whole.Load() && x.r.ProtoMajor == 1 {
		x.w.Header()["Connection"] = []string{"close"}
	}
}

// answer passes on resp.
func (f *Forward) answer(x *exchange, resp *http.Response) {
	defer resp.Body.Close()
	h := x.w.Header()
	hopbyhop.Copy(h, resp.Header)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // otherwise net/http guesses one
	}
	announced := make([]string, 0, len(resp.Trailer))
	for name := range resp.Trailer {
		announced = append(announced, name)
	}
	if len(announced) > 0 {
		h["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	x.mayClose()
	x.w.WriteHeader(resp.StatusCode)

	if resp.Body != http.NoBody {
		if err := f.copyBody(x.w, resp); err != nil {
			if x.r.Context().Err() == nil {
				f.c.Log.Warn("proxy: answer broken off", "method", x.r.Method, "host", x.r.Host, "status", resp.StatusCode, "err", err)
			}
			panic(http.ErrAbortHandler)
		}
	}
	if len(resp.Trailer) == 0 {
		return
	}
	_ = http.NewResponseController(x.w).Flush() // the header: a body that is still short would go without chunks, and so without trailers
	for name, values := range resp.Trailer {
		switch {
		case !httpguts.ValidTrailerHeader(name): // no Content-Length behind the body
		case slices.Contains(announced, name):
			h[name] = values
		default:
			h[http.TrailerPrefix+name] = values
		}
	}
}

// copyBody passes on resp's body.
func (f *Forward) copyBody(w http.ResponseWriter, resp *http.Response) error {
	flush := func() error { return nil }
	if resp.ContentLength < 0 {
		control := http.NewResponseController(w)
		flush = func() error {
			if err := control.Flush(); !errors.Is(err, http.ErrNotSupported) {
				return err
			}
			return nil
		}
		if err := flush(); err != nil { // the header: a stream's first event may be an hour away
			return err
		}
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		n, readErr := resp.Body.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return readErr
		}
		if err := flush(); err != nil {
			return err
		}
	}
}

const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// refuse answers a request that does not go on.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, fmt.Sprintf("%d %s", status, http.StatusText(status)), status)
}

// maxParameters is how many parameters of a query url.ParseQuery reads.
const maxParameters = 10_000

// cleanQuery is query without the parameters that url.ParseQuery does not take:
// who reads them otherwise would see what nobody before him has seen.
func cleanQuery(query string) string {
	for i := 0; i < len(query); i++ {
		if c := query[i]; c == ';' || c == '%' && (i+2 >= len(query) || !isHex(query[i+1]) || !isHex(query[i+2])) {
			return reencode(query)
		}
	}
	if len(query) >= maxParameters && strings.Count(query, "&") >= maxParameters {
		return reencode(query)
	}
	return query
}

func reencode(query string) string {
	values, _ := url.ParseQuery(query) // with those that are good
	return values.Encode()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
