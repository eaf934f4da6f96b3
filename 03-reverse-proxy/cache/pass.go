package cache

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// pass lets the next handler answer r directly. fwd says why, in a word of RFC
// 9211 §2.2.
func (c *Cache) pass(w http.ResponseWriter, r *http.Request, fwd string) {
	p := &passing{ResponseWriter: w, cache: c, r: r, fwd: fwd}
	c.next.ServeHTTP(p, r)
	if !p.wrote && r.Header["Upgrade"] == nil && r.Method != http.MethodConnect { // those may have taken the connection away
		p.WriteHeader(http.StatusOK) // as the server will
	}
}

// passing is a ResponseWriter that looks at the header only.
type passing struct {
	http.ResponseWriter
	cache *Cache
	r     *http.Request
	fwd   string
	wrote bool // the final header
}

func (p *passing) WriteHeader(status int) {
	if !p.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		p.wrote = true
		if status < 400 && unsafe(p.r.Method) {
			// Before the client can know that it is done: it may ask at once for what
			// it has changed.
			p.cache.invalidate(p.r, p.Header())
		}
		p.cache.addStatus(p.Header(), "; fwd="+p.fwd)
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *passing) Write(b []byte) (int, error) {
	if !p.wrote {
		p.WriteHeader(http.StatusOK)
	}
	return p.ResponseWriter.Write(b)
}

// ReadFrom is for io.Copy: the writer below may know a faster way.
func (p *passing) ReadFrom(r io.Reader) (int64, error) {
	if !p.wrote {
		p.WriteHeader(http.StatusOK)
	}
	return io.Copy(p.ResponseWriter, r)
}

// Flush is for who does not use http.ResponseController. See FlushError.
func (p *passing) Flush() { _ = p.FlushError() }

func (p *passing) FlushError() error {
	if !p.wrote {
		p.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController: deadlines, Hijack.
func (p *passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// unsafe reports whether a request of this method may change something: each one
// that is not known to be safe may (RFC 9111 §4.4).
func unsafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// invalidate drops what r has changed, whose answer has the header h: what r
// names, and what h names in Location and Content-Location. Of these only what is
// of the same origin: one that could name others could empty the cache of theirs.
func (c *Cache) invalidate(r *http.Request, h http.Header) {
	c.store.invalidate(appendKey(nil, r))
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	base := &url.URL{Scheme: scheme, Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	for _, name := range []string{"Location", "Content-Location"} {
		text := h.Get(name)
		if text == "" {
			continue
		}
		u, err := base.Parse(text)
		if err == nil && strings.EqualFold(u.Scheme, scheme) && sameHost(u.Host, r.Host, r.TLS != nil) {
			c.store.invalidate(appendURL(nil, r.TLS != nil, u.Host, u))
		}
	}
}

func sameHost(a, b string, secure bool) bool {
	port := ":80"
	if secure {
		port = ":443"
	}
	return strings.EqualFold(strings.TrimSuffix(a, port), strings.TrimSuffix(b, port))
}
