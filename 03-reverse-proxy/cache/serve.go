package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
	"clicktocode.example/03-reverse-proxy/solution/revalidate"
)

// hit answers r by e, at now. ok is false where nothing was written, since the
// beginning of e's content has gone.
func (c *Cache) hit(w http.ResponseWriter, r *http.Request, e *entry, now time.Time) (ok bool) {
	shown := e.show(now, c.name)
	return c.reply(w, r, reply{entry: e, age: shown.age, status: shown.status})
}

// ask has r answered by the next handler: by one call for all who ask for the
// same, if that may be, and with what e, unless it is nil, is good for.
func (c *Cache) ask(w http.ResponseWriter, key []byte, q *query, e *entry, fwd string, wish wishes) {
	o, private := c.store.hold(key, time.Now())
	defer c.store.release(o)
	early := &hints{w: w}
	defer early.stop()

	r, whole := q.r, q.whole()
	alone := private || wish.noStore || fwd == "request" || len(r.Header["Authorization"]) > 0 ||
		e != nil && e.lifetime == 0 // each has to ask anew, so to wait for others would be for nothing
	for try := 0; ; try++ {
		var a *answer
		var joined bool
		var err error
		if alone = alone || try > 1; alone {
			out := whole
			if e == nil {
				out = q.normalised() // the client's own conditions may spare it the content
			}
			a, _, err = c.fetch(r.Context(), o, out, e, true, early)
		} else {
			a, joined, err = c.group.Do(r.Context(), groupKey(o, c.store.variantsOf(o), q), c.fetchOnce(o, whole, e, early))
		}
		switch {
		case err != nil:
			fail(w, r, err)
			return
		case joined && !q.matches(a.entry): // Vary is known only now: the other one's answer is in another language, say
		case a.fetch == nil:
			early.stop()
			if c.hit(w, r, a.entry, time.Now()) {
				c.hits.add()
				return
			}
		default:
			early.stop()
			if c.reply(w, r, c.replyOf(a, fwd, joined)) {
				c.count(a, joined)
				return
			}
		}
		alone = alone || !joined
	}
}

// count notes what became of a request that a has answered.
func (c *Cache) count(a *answer, joined bool) {
	switch {
	case joined:
		c.collapsed.add()
	case a.stored && a.status == http.StatusNotModified:
		c.revalidated.add()
	case a.stored:
		c.stale.add()
	default:
		c.misses.add()
	}
}

// fetchOnce is what a group calls: a fetch, unless the answer has come since its
// caller looked.
func (c *Cache) fetchOnce(o *object, r *http.Request, e *entry, early *hints) func(context.Context) (*answer, bool, error) {
	return func(ctx context.Context) (*answer, bool, error) {
		q := query{r: r, plain: r, coding: r.Header.Get("Accept-Encoding")}
		if found := q.pick(c.store.variantsOf(o)); found != nil && found != e && found.fresh(time.Now()) {
			return &answer{entry: found}, true, nil
		}
		return c.fetch(ctx, o, r, e, false, early)
	}
}

// groupKey names those who may wait for the same answer, as far as can be told
// before it comes: variants are what is stored under the URL so far.
func groupKey(o *object, variants []*entry, q *query) string {
	key := strconv.FormatUint(o.name, 36) + " " + q.chosenCoding()
	if len(variants) > 0 && !variants[0].byCoding {
		key += " " + q.secondaryKey(variants[0])
	}
	return key
}

// refresh asks for a newer e in the background, unless somebody does already.
func (c *Cache) refresh(key []byte, q *query, e *entry) {
	if !e.refreshing.CompareAndSwap(false, true) {
		return
	}
	if !c.start() {
		return
	}
	o, _ := c.store.hold(key, time.Now())
	r := q.whole()
	group := groupKey(o, c.store.variantsOf(o), q)
	go func() {
		defer c.fetches.Done()
		defer c.store.release(o)
		defer e.refreshing.Store(false)
		ctx, cancel := context.WithTimeout(detached{c.ctx, r.Context()}, c.c.Unattended)
		defer cancel()
		a, joined, err := c.group.Do(ctx, group, c.fetchOnce(o, r, e, nil))
		switch {
		case err != nil:
			c.c.Log.Warn("cache: refresh", "url", r.URL.String(), "err", err)
		case !joined && a.fetch != nil:
			a.fetch.leave()
		}
	}()
}

// fail answers r where there is nothing to answer with.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		http.Error(w, "504 Gateway Timeout", http.StatusGatewayTimeout)
		return
	}
	panic(http.ErrAbortHandler) // what was to be an answer broke off: so does this one
}

// reply is what one client gets.
type reply struct {
	*entry
	age     []string    // nil is none
	status  []string    // the cache's part of Cache-Status
	own     http.Header // fields for this client alone
	trailer *fetch      // whose trailer is sent behind the content, or nil
}

// replyOf is the reply that a makes to one who asked for it.
func (c *Cache) replyOf(a *answer, fwd string, joined bool) reply {
	p := reply{entry: a.entry}
	if a.stored || a.resp.Header["Age"] != nil { // otherwise it comes first hand, which Age would deny (RFC 9111 §5.1)
		p.age = []string{strconv.FormatInt(int64(a.entry.age(time.Now())/time.Second), 10)}
	}
	if !joined {
		p.own, p.trailer = a.own, a.fetch
	}
	if c.name != "" {
		s := c.name + "; fwd=" + fwd
		if a.status != 0 && a.status != a.resp.Status {
			s += "; fwd-status=" + strconv.Itoa(a.status)
		}
		if a.kept {
			s += "; stored"
		}
		if joined {
			s += "; collapsed"
		}
		p.status = []string{s}
	}
	return p
}

// reply answers r by p. ok is false where nothing was written, since the
// beginning of the content has gone.
func (c *Cache) reply(w http.ResponseWriter, r *http.Request, p reply) (ok bool) {
	content, complete := p.resp.Body.Bytes()
	conditional := r.Header["If-None-Match"] != nil || r.Header["If-Modified-Since"] != nil
	notModified := conditional && revalidate.NotModified(r, p.resp)
	var reader *httpcache.Reader
	if !complete {
		defer p.left()
		if !notModified && r.Method != http.MethodHead {
			if reader, ok = p.resp.Body.NewReader(); !ok {
				return false
			}
			defer reader.Close()
		}
	}

	h := w.Header()
	p.header(h)
	switch {
	case notModified:
		for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Range", "Trailer"} {
			delete(h, name) // they tell of content that does not follow (RFC 9110 §15.4.5)
		}
		w.WriteHeader(http.StatusNotModified)
	case complete && ranged(r, p.entry):
		serveRange(w, r, content)
	case complete:
		if p.length != nil {
			h["Content-Length"] = p.length
		}
		w.WriteHeader(p.resp.Status)
		if r.Method != http.MethodHead && len(content) > 0 {
			_, _ = w.Write(content) // to a client that may be gone
		}
	default:
		if p.declared != nil {
			h["Content-Length"] = p.declared
		}
		w.WriteHeader(p.resp.Status)
		if reader != nil {
			copyBody(w, r, reader)
			p.writeTrailer(h)
		}
	}
	return true
}

// header writes p's header into h, which may hold fields of handlers before.
func (p *reply) header(h http.Header) {
	for _, f := range p.fields {
		if before := h[f.name]; before != nil {
			h[f.name] = append(before, f.values...)
		} else {
			h[f.name] = f.values
		}
	}
	for name, values := range p.own {
		h[name] = append(h[name], values...)
	}
	if p.age != nil {
		h["Age"] = p.age
	}
	if p.status != nil {
		if before := h["Cache-Status"]; before != nil {
			h["Cache-Status"] = append(before, p.status...)
		} else {
			h["Cache-Status"] = p.status
		}
	}
	if announced := p.resp.Header["Trailer"]; announced != nil {
		h["Trailer"] = announced
	}
}

// left says that this reader needs no more of what still arrives.
func (p *reply) left() {
	if f := p.source.Load(); f != nil {
		f.leave()
	}
}

// copyBody sends what arrives as it arrives. Where it breaks off, so does the
// answer: a client must not take half of it for all.
func copyBody(w http.ResponseWriter, r *http.Request, reader *httpcache.Reader) {
	to := http.NewResponseController(w)
	for {
		if reader.CaughtUp() {
			_ = to.Flush() // what there is should not wait for what is to come
		}
		p, err := reader.Next(r.Context())
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(p); err != nil {
			panic(http.ErrAbortHandler) // the client is gone
		}
	}
}

func (p *reply) writeTrailer(h http.Header) {
	if p.trailer == nil {
		return
	}
	for name, values := range p.trailer.trailer {
		h[name] = values
	}
}

// ranged reports whether r wants parts of e, in a way that is understood here. All
// other ranges are ignored, and all is sent (RFC 9110 §14.2).
func ranged(r *http.Request, e *entry) bool {
	lines := r.Header["Range"]
	return len(lines) == 1 && strings.HasPrefix(lines[0], "bytes=") && r.Method == http.MethodGet && e.resp.Status == http.StatusOK
}

// serveRange answers the Range of r, and its If-Range. Other conditions are not
// looked at any more.
func serveRange(w http.ResponseWriter, r *http.Request, content []byte) {
	part := &http.Request{Method: http.MethodGet, Header: http.Header{"Range": r.Header["Range"]}}
	if condition := r.Header["If-Range"]; condition != nil {
		part.Header["If-Range"] = condition
	}
	modified, _ := http.ParseTime(w.Header().Get("Last-Modified"))
	http.ServeContent(w, part, "", modified, bytes.NewReader(content))
}
