package cache

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/coding"
	"clicktocode.example/03-reverse-proxy/httpcache"
	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
	"clicktocode.example/03-reverse-proxy/solution/storable"
)

// offers are the codings that variants may have, besides none.
var offers = coding.Names()

// query is a request as the cache sees it. It belongs to one goroutine.
type query struct {
	r      *http.Request
	coding string        // "" until it is asked for
	plain  *http.Request // r as normalised returns it, or nil
}

// chosenCoding is the coding that r accepts best. It is worked out only where an
// answer depends on it.
func (q *query) chosenCoding() string {
	if q.coding == "" {
		// Where not even identity is accepted, the choice is identity all the same:
		// the server may send that (RFC 9110 §12.5.3), and 406 helps nobody.
		q.coding, _ = acceptencoding.Choose(q.r.Header["Accept-Encoding"], offers)
	}
	return q.coding
}

// normalised returns r with one coding in Accept-Encoding: the form that secondary
// keys are made of, and in which a request goes on to the next handler.
func (q *query) normalised() *http.Request {
	if q.plain == nil {
		q.plain = q.r.WithContext(q.r.Context())
		q.plain.Body = http.NoBody // the server's ends with the client's handler
		q.plain.Header = q.r.Header.Clone()
		if q.plain.Header == nil {
			q.plain.Header = http.Header{}
		}
		q.plain.Header["Accept-Encoding"] = []string{q.chosenCoding()}
	}
	return q.plain
}

// whole returns a request for all of what r asks for, under no condition: what
// is fetched for the store is for everybody.
func (q *query) whole() *http.Request {
	r := q.normalised()
	conditions := slices.DeleteFunc([]string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"},
		func(name string) bool { return r.Header[name] == nil })
	if r.Method == http.MethodGet && len(conditions) == 0 {
		return r
	}
	r = r.WithContext(r.Context())
	r.Method = http.MethodGet // even of a HEAD: it is about a GET that is stored
	r.Header = r.Header.Clone()
	for _, name := range conditions {
		delete(r.Header, name)
	}
	return r
}

// matches reports whether e answers q, as far as Vary goes.
func (q *query) matches(e *entry) bool {
	switch {
	case len(e.resp.Header["Vary"]) == 0:
		return true
	case e.plain && q.lacks(e.lacked): // nearly always
		return !e.coded || e.coding == q.chosenCoding()
	}
	return e.key == q.secondaryKey(e)
}

// lacks reports whether q has none of these fields.
func (q *query) lacks(names []string) bool {
	for _, name := range names {
		if q.r.Header[name] != nil {
			return false
		}
	}
	return true
}

// secondaryKey is what q has in the fields that e's Vary names.
func (q *query) secondaryKey(e *entry) string {
	if len(e.resp.Header["Vary"]) == 0 {
		return ""
	}
	return storable.Key(e.resp.Header, q.normalised())
}

// pick returns the newest of variants that answers q, or nil.
func (q *query) pick(variants []*entry) *entry {
	for _, e := range variants {
		if q.matches(e) {
			return e
		}
	}
	return nil
}

// appendKey appends the primary key of r: scheme and host, as the request named
// it, path and query. The method is GET: that is what is stored, and what HEAD
// and unsafe methods are about.
func appendKey(key []byte, r *http.Request) []byte {
	return appendURL(key, r.TLS != nil, r.Host, r.URL)
}

// appendURL is appendKey for a URL's parts. Plain HTTP is marked, by what no host
// begins with.
func appendURL(key []byte, secure bool, host string, u *url.URL) []byte {
	port := ":443"
	if !secure {
		key, port = append(key, '/'), ":80"
	}
	for _, c := range []byte(strings.TrimSuffix(host, port)) {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		key = append(key, c)
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	key = append(key, path...)
	if u.RawQuery != "" || u.ForceQuery {
		key = append(append(key, '?'), u.RawQuery...)
	}
	return key
}

// wishes are what a request's Cache-Control asks of a cache. Durations are below
// 0 where nothing is said.
type wishes struct {
	onlyIfCached               bool
	noCache                    bool
	noStore                    bool
	maxAge, minFresh, maxStale time.Duration
}

// wishesOf reads the directives of r. Unless honoured is true, all are ignored
// but those that make no work for the origin.
func wishesOf(r *http.Request, honoured bool) wishes {
	w := wishes{maxAge: -1, minFresh: -1, maxStale: -1}
	lines := r.Header["Cache-Control"]
	if len(lines) == 0 { // and only then (RFC 9111 §5.4)
		w.noCache = honoured && len(r.Header["Pragma"]) > 0 &&
			httpcache.ParseDirectives(r.Header["Pragma"]).Has("no-cache")
		return w
	}
	d := httpcache.ParseDirectives(lines)
	w.onlyIfCached, w.noStore = d.Has("only-if-cached"), d.Has("no-store")
	if !honoured {
		return w
	}
	w.noCache = d.Has("no-cache")
	seconds := func(name string) time.Duration {
		if s, ok := d.Seconds(name); ok {
			return s
		}
		return -1
	}
	w.maxAge, w.minFresh, w.maxStale = seconds("max-age"), seconds("min-fresh"), seconds("max-stale")
	if d.Has("max-stale") && d["max-stale"] == "" {
		w.maxStale = httpcache.MaxSeconds // however stale (RFC 9111 §5.2.1.2)
	}
	return w
}
