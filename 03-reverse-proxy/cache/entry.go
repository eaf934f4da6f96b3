package cache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
	"clicktocode.example/03-reverse-proxy/solution/freshness"
	"clicktocode.example/03-reverse-proxy/solution/storable"
)

// entry is a response that is stored or on its way, with all worked out that
// each hit would otherwise have to work out again. But for links, it does not
// change once others can see it.
type entry struct {
	links

	resp     *httpcache.Response
	key      string   // storable.Key of the request that brought it
	coding   string   // what that request's Accept-Encoding was made to
	coded    bool     // Accept-Encoding is among what Vary names
	lacked   []string // the other fields that it names, if plain: then coding and these do as a key
	plain    bool     // that request had none of them
	byCoding bool     // Accept-Encoding is all that Vary names

	age0     time.Duration // how old it was when it came
	lifetime time.Duration
	never    bool          // no stale use, whatever happens (RFC 9111 §4.2.4)
	revive   time.Duration // stale-while-revalidate
	rescue   time.Duration // stale-if-error

	fields   []field
	declared []string // Content-Length as the origin said it, or nil
	length   []string // the same as it is; set before the body is complete, and not to be read before that

	source     atomic.Pointer[fetch] // what brings it, as long as it does
	refreshing atomic.Bool           // somebody is asking for a newer one in the background
	shown      atomic.Pointer[shown]

	until time.Time // of a mark (object.mark), which has nothing but this
}

// field is a header field as it is sent. Its values are shared by all answers.
type field struct {
	name   string
	values []string
}

// shown is what changes once a second in the header of hits.
type shown struct {
	second      time.Duration
	age, status []string
}

// newEntry works out resp, which r got, and which came just now with the
// directives d.
func newEntry(r *http.Request, resp *httpcache.Response, d httpcache.Directives) *entry {
	e := &entry{
		resp:     resp,
		key:      storable.Key(resp.Header, r),
		coding:   r.Header.Get("Accept-Encoding"),
		age0:     freshness.Age(resp, resp.Received),
		lifetime: freshness.Lifetime(resp),
		never:    d.Unqualified("no-cache") || d.Has("must-revalidate") || d.Has("proxy-revalidate") || d.Has("s-maxage"),
	}
	e.readVary(r)
	if !e.never {
		e.revive, _ = d.Seconds("stale-while-revalidate")
		e.rescue, _ = d.Seconds("stale-if-error")
	}
	e.fields = make([]field, 0, len(resp.Header))
	for name, values := range resp.Header {
		if name != "Age" && name != "Content-Length" && name != "Trailer" {
			e.fields = append(e.fields, field{name, slices.Clip(values)}) // clipped: who appends to it in one answer must not write into all
		}
	}
	return e
}

// readVary sets what matches needs to know of Vary, where it can be said in short. r is
// the request that brought e.
func (e *entry) readVary(r *http.Request) {
	e.plain = true
	for _, line := range e.resp.Header["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = http.CanonicalHeaderKey(strings.Trim(name, " \t")); {
			case name == "Accept-Encoding":
				e.coded = true
			case name == "*" || name == "Host" || r.Header[name] != nil:
				e.plain = false
			case name != "": // lists may have empty elements
				e.lacked = append(e.lacked, name)
			}
		}
	}
	e.byCoding = e.coded && e.plain && len(e.lacked) == 0
}

// age is how old e is at now.
func (e *entry) age(now time.Time) time.Duration {
	return e.age0 + max(now.Sub(e.resp.Received), 0)
}

func (e *entry) fresh(now time.Time) bool { return e.age(now) < e.lifetime }

// rescues reports whether e may be used in place of an error.
func (e *entry) rescues(now time.Time) bool { return e.age(now) < e.lifetime+e.rescue }

// complete reports whether all of e is there.
func (e *entry) complete() bool {
	_, ok := e.resp.Body.Bytes()
	return ok
}

// worthKeeping reports whether e can ever be of use again.
func (e *entry) worthKeeping() bool {
	return e.age0 < e.lifetime+max(e.revive, e.rescue) || e.resp.Header.Get("ETag") != "" || e.resp.Header.Get("Last-Modified") != ""
}

// headerSize is what e takes besides its content. key is its URL's.
func (e *entry) headerSize(key string) int64 {
	size := entryOverhead + len(key) + len(e.key)
	for _, f := range e.fields {
		size += fieldOverhead + len(f.name)
		for _, v := range f.values {
			size += 16 + len(v)
		}
	}
	return int64(size)
}

// show returns the values of Age and Cache-Status for a hit at now. Hits within
// one second share them.
func (e *entry) show(now time.Time, name string) *shown {
	second := e.age(now) / time.Second
	if s := e.shown.Load(); s != nil && s.second == second {
		return s
	}
	s := &shown{second: second, age: []string{strconv.FormatInt(int64(second), 10)}}
	if name != "" {
		ttl := e.lifetime/time.Second - second // below 0 for a stale one (RFC 9211 §2.4)
		s.status = []string{name + "; hit; ttl=" + strconv.FormatInt(int64(ttl), 10)}
	}
	e.shown.Store(s)
	return s
}
