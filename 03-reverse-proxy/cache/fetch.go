package cache

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
	"clicktocode.example/03-reverse-proxy/solution/hopbyhop"
	"clicktocode.example/03-reverse-proxy/solution/revalidate"
	"clicktocode.example/03-reverse-proxy/solution/storable"
)

// errAborted is what an answer failed with whose handler panicked.
var errAborted = errors.New("cache: the handler aborted its answer")

// answer is what a fetch came to.
type answer struct {
	*entry
	fetch  *fetch // nil where it had come into the store meanwhile
	status int    // what next answered, or 0 where it did not
	stored bool   // it was in the store before: just confirmed, or used in place of a failure
	kept   bool   // it is in the store now, or on its way there

	// own are the fields that are for him alone who asked: those of Config.Once,
	// and those that private or no-cache name. The entry does not have them.
	own http.Header
}

// fetch is one call of the next handler, or two, and the ResponseWriter for it.
// What is not said to be guarded belongs to the goroutine that it runs in.
type fetch struct {
	c      *Cache
	object *object
	r      *http.Request // for the whole, without the conditions that stored adds
	stored *entry        // what is to be confirmed, or nil
	alone  bool          // nobody else can want the answer
	hints  *hints
	ctx    context.Context
	cancel context.CancelCauseFunc

	requested time.Time
	header    http.Header // what next writes into
	wrote     bool
	again     bool  // the 304 was about another version
	settled   bool  // there is nothing more to come: what next writes is thrown away
	declared  int64 // Content-Length, or -1
	length    int64 // so far
	body      *httpcache.Body
	counted   bool // the entry is in the store's books, and needs a settle
	outgrown  bool
	marks     bool // the URL is to be remembered as private, if the answer is

	ready  chan struct{} // closed when the answer's header is there, or err is set
	answer *answer
	share  bool
	err    error

	trailer http.Header // set before body ends

	mu    sync.Mutex // guards timer
	timer *time.Timer
}

// fetch asks the next handler for r, and returns when the answer's header is
// there. The content may come later. Where ctx ends before that, the fetch ends,
// and so it does later, if the answer is for one alone.
func (c *Cache) fetch(ctx context.Context, o *object, r *http.Request, stored *entry, alone bool, h *hints) (a *answer, share bool, err error) {
	f := &fetch{c: c, object: o, r: r, stored: stored, alone: alone, hints: h, declared: -1, ready: make(chan struct{})}
	inner, cancel := context.WithCancelCause(c.ctx)
	f.ctx, f.cancel = detached{inner, ctx}, cancel
	if !c.start() {
		return nil, false, ErrClosed
	}
	c.store.holdAgain(o)
	unlink := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	go f.run()
	select {
	case <-f.ready:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if f.lasts() || f.err != nil {
		unlink() // from now on it is for others, too: see leave
	}
	return f.answer, f.share, f.err
}

// start counts a fetch, unless the Cache is closed.
func (c *Cache) start() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.fetches.Add(1)
	return true
}

// lasts reports whether the answer is for more than the one who asked: those who
// wait with him, or those who find it in the store. Ask once it is published.
func (f *fetch) lasts() bool { return f.share || f.counted }

// detached is a context with the values of another one.
type detached struct {
	context.Context
	values context.Context
}

func (d detached) Value(key any) any {
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return d.values.Value(key)
}

// run is the goroutine of the fetch.
func (f *fetch) run() {
	defer f.c.fetches.Done()
	defer f.c.store.release(f.object)
	defer f.cancel(nil)
	err := errAborted
	defer func() { f.finish(err) }() // even where next ends the goroutine: others wait
	out := f.r
	if f.stored != nil {
		out = revalidate.Ask(f.r, f.stored.resp)
	}
	err = f.call(out)
	if f.again {
		f.again, f.wrote, f.stored = false, false, nil
		err = errAborted
		err = f.call(f.r)
	}
}

// call lets next answer r.
func (f *fetch) call(r *http.Request) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err = errAborted; v != http.ErrAbortHandler {
			f.c.c.Log.Error("cache: the next handler panicked", "url", r.URL.String(), "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f.header, f.requested = http.Header{}, time.Now()
	f.c.next.ServeHTTP(f, r.WithContext(f.ctx))
	return nil
}

// Header is what next writes into. Answers get a copy.
func (f *fetch) Header() http.Header { return f.header }

// WriteHeader decides what becomes of the answer.
func (f *fetch) WriteHeader(status int) {
	switch {
	case f.wrote:
		return
	case status < 200:
		f.hints.send(status, f.header)
		return
	}
	f.wrote = true
	now := time.Now()
	switch {
	case f.stored != nil && status == http.StatusNotModified:
		f.confirmed(now)
	case f.stored != nil && failure(status) && f.stored.rescues(now):
		f.rescued(status)
	default:
		f.arrived(status, now)
	}
}

// failure reports whether the origin, or the way to it, is broken (RFC 5861 §4).
func failure(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// confirmed takes a 304: what is stored still holds.
func (f *fetch) confirmed(now time.Time) {
	resp := revalidate.Freshen(f.stored.resp, f.header, f.requested, now)
	if resp == nil {
		f.again = true // this 304 is about another version
		return
	}
	f.settled = true
	d := httpcache.ResponseDirectives(resp.Header)
	own := f.c.takeOwn(resp.Header, d)
	e := newEntry(f.r, resp, d)
	content, _ := resp.Body.Bytes()
	e.length = contentLength(resp.Status, int64(len(content)))
	kept := false
	if storable.May(f.r, resp.Status, resp.Header) && len(resp.Header["Trailer"]) == 0 {
		var room bool
		if kept, room = f.c.store.begin(f.object, e, e.headerSize(f.object.key)+int64(cap(content))); room {
			f.c.store.settle(e)
		}
	} else {
		f.c.store.drop(f.stored)
	}
	f.publish(&answer{entry: e, status: http.StatusNotModified, stored: true, kept: kept, own: own}, kept && e.fresh(now))
}

// rescued uses what is stored in place of a failure.
func (f *fetch) rescued(status int) {
	f.settled = true
	f.publish(&answer{entry: f.stored, status: status, stored: true}, true)
	f.cancel(nil) // the failure's own content is of no use
}

// arrived takes the header of a new answer.
func (f *fetch) arrived(status int, now time.Time) {
	h := make(http.Header, len(f.header)+1)
	hopbyhop.Copy(h, f.header)
	if h.Get("Date") == "" {
		h.Set("Date", now.UTC().Format(http.TimeFormat)) // RFC 9110 §6.6.1
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		f.declared = n
	}
	may := storable.May(f.r, status, h) && len(h["Trailer"]) == 0
	d := httpcache.ResponseDirectives(h)
	var own http.Header
	if may {
		own = f.c.takeOwn(h, d)
	}
	e := newEntry(f.r, &httpcache.Response{Status: status, Header: h, Requested: f.requested, Received: now}, d)
	if f.declared >= 0 {
		e.declared = contentLength(status, f.declared)
	}
	size := e.headerSize(f.object.key)
	limit := f.c.c.MaxEntry - size
	found := false
	if may && e.worthKeeping() && f.declared <= limit && limit > 0 {
		f.body = httpcache.NewBody(limit, f.declared, func(delta int64) bool { return f.c.store.grow(e, delta) })
		e.resp.Body = f.body
		e.source.Store(f)
		found, f.counted = f.c.store.begin(f.object, e, size) // from here on, others see it
	}
	if !f.counted {
		f.body = httpcache.NewBody(0, -1, nil)
		e.resp.Body = f.body
		e.source.Store(f)
	}

	// Only an answer says what is for one alone, and not a failure, which passes;
	// nor does what a client asked for in its own way.
	f.marks = status < 500 && !f.alone
	if !f.counted && status < 500 && f.stored != nil {
		f.c.store.drop(f.stored) // there is something else now
	}
	if !f.counted && f.marks {
		f.mark()
	}
	f.publish(&answer{entry: e, status: status, kept: found, own: own}, f.counted && e.fresh(now) && !f.alone)
}

// mark remembers that answers under the URL are for one alone.
func (f *fetch) mark() {
	f.c.store.setMark(f.object, &entry{until: time.Now().Add(privateFor)}, int64(entryOverhead+len(f.object.key)))
}

// publish hands the answer to those who wait.
func (f *fetch) publish(a *answer, share bool) {
	a.fetch, f.answer, f.share = f, a, share
	if f.lasts() && f.body != nil {
		f.mu.Lock()
		f.timer = time.AfterFunc(f.c.c.Unattended, f.endUnattended)
		f.mu.Unlock()
	}
	close(f.ready)
}

// leave is called by who was given the answer, or found it in the store, and reads
// it no more.
func (f *fetch) leave() {
	<-f.ready // it can be found a moment before
	if f.body == nil || f.body.Readers() > 0 {
		return
	}
	if !f.lasts() || !f.body.Kept() {
		f.cancel(errors.New("cache: nobody reads the answer any more"))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Reset(f.c.c.Unattended)
	}
}

func (f *fetch) endUnattended() {
	if f.body.Readers() == 0 {
		f.cancel(errors.New("cache: the answer took too long, and nobody waits for it"))
	}
}

// Write adds to the answer's content. It waits for the slowest reader where the
// answer is not to be kept.
func (f *fetch) Write(p []byte) (int, error) {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
	switch {
	case f.settled || f.again:
		return len(p), nil
	case bodyless(f.answer.resp.Status):
		return 0, http.ErrBodyNotAllowed
	case f.declared >= 0 && f.length+int64(len(p)) > f.declared:
		return 0, http.ErrContentLength
	}
	if err := f.body.Append(f.ctx, p); err != nil {
		return 0, err
	}
	f.length += int64(len(p))
	if f.counted && !f.outgrown && !f.body.Kept() {
		f.outgrown = true
		f.c.store.drop(f.answer.entry) // nobody new can have it
		if f.marks {
			f.mark()
		}
	}
	return len(p), nil
}

// Flush has nothing to do but to send the header: content is passed on at once.
func (f *fetch) Flush() {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
}

// finish ends the answer, after next has returned.
func (f *fetch) finish(err error) {
	if err == nil && !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
	switch {
	case f.settled:
		return
	case f.answer == nil && f.stored != nil && f.stored.rescues(time.Now()):
		f.rescued(0)
		return
	case f.answer == nil:
		f.err = err
		if cause := context.Cause(f.ctx); cause != nil {
			f.err = cause
		}
		close(f.ready)
		return
	}
	e := f.answer.entry
	if err == nil && f.declared >= 0 && f.length < f.declared && !bodyless(e.resp.Status) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		f.trailer = trailers(e.resp.Header["Trailer"], f.header)
		e.length = contentLength(e.resp.Status, f.length) // read only by who sees that the body is complete
	}
	if f.counted && (err != nil || len(f.trailer) > 0) {
		f.c.store.drop(e) // before the end, so that nobody new gets half of it
	}
	f.body.Close(err)
	if f.counted {
		f.c.store.settle(e)
	}
	e.source.Store(nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
}

// takeOwn takes the fields out of h that are for him alone who asked: d are h's
// directives. nil is none.
func (c *Cache) takeOwn(h http.Header, d httpcache.Directives) (own http.Header) {
	for _, name := range append(d.Withheld(), c.c.Once...) {
		if values, ok := h[name]; ok {
			if own == nil {
				own = http.Header{}
			}
			own[name] = values
			delete(h, name)
		}
	}
	return own
}

// trailers returns what of h was written behind the content: the announced fields
// and those with http.TrailerPrefix. nil is none.
func trailers(announced []string, h http.Header) http.Header {
	var found http.Header
	add := func(name string, values []string) {
		if found == nil {
			found = http.Header{}
		}
		found[name] = values
	}
	for _, line := range announced {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if values, ok := h[name]; ok {
				add(name, values)
			}
		}
	}
	for name, values := range h {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			add(name, values)
		}
	}
	return found
}

// bodyless reports whether answers of this status have no content (RFC 9110 §6.4.1).
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

func contentLength(status int, n int64) []string {
	if bodyless(status) {
		return nil
	}
	return []string{strconv.FormatInt(n, 10)}
}

// hints passes 1xx answers on to him who asked, as long as he waits. nil is nobody.
type hints struct {
	mu sync.Mutex // guards w
	w  http.ResponseWriter
}

func (h *hints) send(status int, header http.Header) {
	if h == nil || status == http.StatusContinue || status == http.StatusSwitchingProtocols {
		return // there was no content to wait for, and no Upgrade
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.w == nil {
		return
	}
	to := h.w.Header()
	before := maps.Clone(to)
	hopbyhop.Copy(to, header)
	h.w.WriteHeader(status)
	clear(to) // of the final header they are not a part
	maps.Copy(to, before)
}

// stop lets nothing more be sent: w is needed for the answer, or gone.
func (h *hints) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.w = nil
}
