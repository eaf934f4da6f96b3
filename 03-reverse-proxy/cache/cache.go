package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"clicktocode.example/03-reverse-proxy/solution/collapse"
)

// ErrClosed is why fetches end that are under way when the Cache is closed.
var ErrClosed = errors.New("cache: closed")

// privateFor is for how long it is remembered that answers under a URL are for
// one alone. For that long nobody there waits for somebody else's answer.
const privateFor = 10 * time.Second

// Config is how a Cache works. The zero value is fine.
type Config struct {
	// MaxBytes bounds what is stored, in octets: content, headers, keys and an
	// estimate of what keeping them in order takes, and, too, what is still on
	// its way into the store. Zero means 64 MiB.
	//
	// Beyond that there is, for each answer on its way, what it is copied from as
	// it grows, or up to two httpcache.Window if it is not stored; and as long as
	// a client still reads it, what was evicted meanwhile. And Go's heap grows to twice of what lives in it before
	// it is collected, unless GOGC or GOMEMLIMIT say otherwise.
	MaxBytes int64
	// MaxEntry bounds one response, its header included. What is larger passes
	// through, at the pace of the slowest who reads it. Zero means a sixteenth of
	// MaxBytes.
	MaxEntry int64

	// Name is what the cache calls itself in Cache-Status, such as "Edge" or
	// "edge1.shop.test". Empty adds no such field.
	Name string

	// Once are fields that tell of one answer and say nothing of the next, such as
	// which backend gave it: he who asked gets them, and they are not stored.
	// Set-Cookie and Server-Timing are among them in any case.
	Once []string

	// HonourRequests lets clients have a say: with no-cache, max-age, min-fresh
	// and max-stale in Cache-Control, and no-cache in Pragma. Otherwise they are
	// ignored, as most caches that stand before an origin do (RFC 9111 §5.2.1
	// calls them advisory): by no-cache anybody could send as many requests to
	// the origin as he likes, and each browser says it at each reload.
	//
	// only-if-cached is honoured in any case, since it makes the origin no work,
	// and no-store, since it must be.
	HonourRequests bool

	// Unattended is how long a fetch may take that no client waits for: a refresh
	// in the background, or an answer whose reader has left, which goes on
	// arriving for the store. Zero means 30 s.
	Unattended time.Duration

	// Log gets what went wrong where no client is told. nil is slog.Default().
	Log *slog.Logger
}

// Cache is an http.Handler that answers from memory what it can. Its methods may
// be called by many goroutines at once. Make one with New.
type Cache struct {
	next  http.Handler
	c     Config // without zeros
	name  string // as it stands in Cache-Status, or ""
	store store
	group collapse.Group[*answer]
	counts

	ctx  context.Context // of all fetches
	stop context.CancelCauseFunc

	mu      sync.RWMutex // held by who starts a fetch, so that none starts once Close waits
	fetches sync.WaitGroup
}

// New returns a Cache that asks next. The error names all that is wrong with c.
//
// next may be called once for many clients, in a goroutine that is not a
// client's, with a request that no client sent in this form. When it panics, by
// http.ErrAbortHandler or otherwise, those who wait for its answer have their
// connections cut off, and nothing is stored. The same goes for a body that is
// shorter than its Content-Length.
//
// Handlers before the Cache may set fields in the answer's header, and take
// whole fields away, but must not write into the slices of values that it put
// there: all hits share them.
func New(next http.Handler, c Config) (*Cache, error) {
	var errs []error
	if next == nil {
		errs = append(errs, errors.New("cache: no next handler"))
	}
	if c.MaxBytes < 0 || c.MaxEntry < 0 {
		errs = append(errs, fmt.Errorf("cache: a size below 0: MaxBytes %d, MaxEntry %d", c.MaxBytes, c.MaxEntry))
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 64 << 20
	}
	if c.MaxEntry == 0 {
		c.MaxEntry = c.MaxBytes / 16
	}
	if c.MaxEntry > c.MaxBytes {
		errs = append(errs, fmt.Errorf("cache: MaxEntry %d is more than MaxBytes, %d", c.MaxEntry, c.MaxBytes))
	}
	if c.Unattended < 0 {
		errs = append(errs, fmt.Errorf("cache: unattended for %v", c.Unattended))
	}
	if c.Unattended == 0 {
		c.Unattended = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	once := []string{"Set-Cookie", "Server-Timing"}
	for _, name := range c.Once {
		once = append(once, http.CanonicalHeaderKey(name))
	}
	c.Once = once
	name, err := serialise(c.Name)
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return nil, errors.Join(errs...)
	}
	cache := &Cache{next: next, c: c, name: name, store: store{max: c.MaxBytes, objects: map[string]*object{}}}
	cache.ctx, cache.stop = context.WithCancelCause(context.Background())
	return cache, nil
}

// Close ends all fetches that are under way, and waits for them. Close it when
// the server has shut down: requests that come later pass through uncached.
func (c *Cache) Close() {
	c.mu.Lock()
	c.stop(ErrClosed)
	c.mu.Unlock()
	c.fetches.Wait()
}

// ServeHTTP answers r from the store, or asks the next handler for it.
func (c *Cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fwd := bypass(r); fwd != "" || c.ctx.Err() != nil {
		c.pass(w, r, max(fwd, "bypass"))
		c.bypassed.add()
		return
	}
	var room [256]byte // most keys need no memory of their own
	key := appendKey(room[:0], r)
	q := query{r: r}
	now := time.Now()
	wish := wishesOf(r, c.c.HonourRequests)

	variants, private := c.store.find(key, now)
	e := q.pick(variants)
	if e != nil && !e.complete() && (!e.fresh(now) || r.Header["Range"] != nil) {
		e = nil // nothing to confirm yet, nor to cut out of
	}
	use, refresh := wish.allow(e, now)
	if refresh {
		c.refresh(key, &q, e)
	}
	if use && c.hit(w, r, e, now) {
		if e.fresh(now) {
			c.hits.add()
		} else {
			c.stale.add()
		}
		return
	}

	fwd := "stale"
	switch {
	case e == nil && len(variants) == 0:
		fwd = "uri-miss"
	case e == nil:
		fwd = "vary-miss"
	case e.fresh(now):
		fwd = "request"
	}
	switch {
	case wish.onlyIfCached:
		c.addStatus(w.Header(), "")
		http.Error(w, "504 Gateway Timeout: only if cached, and it is not", http.StatusGatewayTimeout)
		c.misses.add()
	case e == nil && (r.Method == http.MethodHead || partial(r) || private && len(variants) == 0):
		c.pass(w, r, fwd) // what is not for the store needs no fetch that outlives its client
		c.misses.add()
	default:
		c.ask(w, key, &q, e, fwd, wish)
	}
}

// allow reports whether e may be used as it is, and whether it should be
// refreshed then. nil may not.
func (w *wishes) allow(e *entry, now time.Time) (use, refresh bool) {
	if e == nil || w.noCache {
		return false, false
	}
	age := e.age(now)
	stale := age - e.lifetime
	switch {
	case w.maxAge >= 0 && age > w.maxAge, w.minFresh >= 0 && stale+w.minFresh > 0:
		return false, false
	case stale < 0:
	case e.never || !e.complete():
		return false, false
	case stale < e.revive:
		refresh = true
	case stale > w.maxStale:
		return false, false
	}
	if !e.used.Load() { // all hits would wait for each other to write it
		e.used.Store(true)
	}
	return true, refresh
}

// bypass returns why r has nothing to do with what is stored, in a word of RFC
// 9211 §2.2, or "".
func bypass(r *http.Request) string {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "method"
	case r.ContentLength != 0, // a GET with content means whatever its two ends agreed on
		len(r.Header["Upgrade"]) > 0,
		strings.ContainsAny(r.Host, "/?"): // or one host's path could look like another's
		return "bypass"
	}
	return ""
}

// partial reports whether r is about parts of what it names, or has conditions
// that are the origin's to judge.
func partial(r *http.Request) bool {
	return r.Header["Range"] != nil || r.Header["If-Match"] != nil || r.Header["If-Unmodified-Since"] != nil
}

// addStatus adds the cache's own part to Cache-Status, behind those of caches
// nearer to the origin (RFC 9211 §2).
func (c *Cache) addStatus(h http.Header, parameters string) {
	if c.name != "" {
		h["Cache-Status"] = append(h["Cache-Status"][:len(h["Cache-Status"]):len(h["Cache-Status"])], c.name+parameters)
	}
}

// serialise writes a name as a Token or a String (RFC 9651 §3.3), whichever it can
// be.
func serialise(name string) (string, error) {
	token := true
	for i := range len(name) {
		c := name[i]
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("cache: name %q: want printable ASCII", name)
		}
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '*'
		token = token && (letter || i > 0 && ('0' <= c && c <= '9' || strings.IndexByte(":/!#$%&'*+-.^_`|~", c) >= 0))
	}
	if !token {
		return strconv.Quote(name), nil
	}
	return name, nil
}
