package stage

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Observe is h with a Request event for each request that it served, from its
// beginning until h returned. The answer says in a Server-Timing field of the
// Stage's name how long it took up to its header, in milliseconds; fields that
// h set stay before it.
//
// The event's detail holds client, proto, and over TLS tls, alpn and resumed. Where
// nobody listens, as s.Emit is nil, there is the Server-Timing field alone.
func (s *Stage) Observe(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		o := &observed{ResponseWriter: w, before: func() {
			w.Header().Add("Server-Timing", fmt.Sprintf("%s;dur=%.3f", s.Name, float64(time.Since(began))/float64(time.Millisecond)))
		}}
		result := "aborted"
		if s.Emit != nil {
			detail := map[string]string{"client": r.RemoteAddr, "proto": r.Proto}
			if r.TLS != nil {
				detail["tls"] = tls.VersionName(r.TLS.Version)
				detail["alpn"] = cmp.Or(r.TLS.NegotiatedProtocol, "none")
				detail["resumed"] = strconv.FormatBool(r.TLS.DidResume)
			}
			request := r.Method + " " + r.URL.Path // h may change r
			defer func() { s.Request(request+" → "+result, time.Since(began), detail) }()
		}
		h.ServeHTTP(o, r)
		if o.status == 0 {
			o.WriteHeader(http.StatusOK) // net/http would, and without the field
		}
		result = strconv.Itoa(o.status)
	})
}

// observed notes the status, and calls before when the header is about to go.
type observed struct {
	http.ResponseWriter
	status int // 0 until the header went
	before func()
}

func (o *observed) WriteHeader(status int) {
	if o.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) { // of other 1xx there may be many
		o.status = status
		o.before()
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observed) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.WriteHeader(http.StatusOK)
	}
	return o.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController.Flush calls: it sends the header, too.
func (o *observed) FlushError() error {
	if o.status == 0 {
		o.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(o.ResponseWriter).Flush()
}

// Flush is FlushError for those who know http.Flusher alone.
func (o *observed) Flush() { _ = o.FlushError() }

// Hijack takes the connection over from net/http, which sends no header then.
func (o *observed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(o.ResponseWriter).Hijack()
	if err == nil && o.status == 0 {
		o.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap gives http.ResponseController the rest of what the connection can do.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }
