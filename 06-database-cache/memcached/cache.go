package memcached

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// Overhead is what an item counts beside its key and its value: the item itself,
// its entry in the table, and what the allocator rounds up, of which a value of
// some thousand octets may cost more, and one of a few octets less.
const Overhead = 160

// monthSeconds divides the two meanings of an expiration time.
const monthSeconds = 60 * 60 * 24 * 30

// item is what is stored under a key. It is guarded by the cache's lock, but for
// the value's octets: they never change, so a reader sends them without the lock.
type item struct {
	key     string
	value   []byte
	flags   uint32
	cas     uint64
	expires time.Duration // since cache.start; 0: never

	prev, next *item // in order of use
}

func (it *item) size() int64 { return int64(len(it.key) + len(it.value) + Overhead) }

// cache is the items: a table, and a ring in order of use. Its methods may be
// called at once.
type cache struct {
	start    time.Time // holds the monotonic clock too: a clock that is set back brings nothing back to life
	maxBytes int64

	mu      sync.Mutex
	items   map[string]*item // guarded by mu, as all below
	ring    item             // next is the one used last, prev the one to leave first
	bytes   int64
	cas     uint64        // the last one given
	flushAt time.Duration // when everything goes; 0: no such time
	count   counts
}

// counts are what the cache has seen, under the names of "stats".
type counts struct {
	getHits, getMisses, getExpired     uint64
	cmdGet, cmdSet, cmdFlush, cmdTouch uint64
	deleteHits, deleteMisses           uint64
	incrHits, incrMisses               uint64
	decrHits, decrMisses               uint64
	casHits, casMisses, casBadval      uint64
	touchHits, touchMisses             uint64
	storeTooLarge                      uint64
	totalItems, evictions, reclaimed   uint64
}

func newCache(maxBytes int64) *cache {
	c := &cache{start: time.Now().Add(-1), maxBytes: maxBytes} // so that no moment is 0, which is "never"
	c.emptyLocked()
	return c
}

// lock takes the lock, and says what time it is since the start.
func (c *cache) lock() (now time.Duration) {
	c.mu.Lock()
	now = time.Since(c.start)
	if c.flushAt != 0 && now >= c.flushAt {
		c.emptyLocked()
		c.flushAt = 0
	}
	return now
}

func (c *cache) emptyLocked() {
	c.items = make(map[string]*item)
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	c.bytes = 0
}

// moment is when exptime ends, as a client writes it: seconds from now, or of Unix
// time where that is more than 30 days. Negative is at once, 0 is never: 0.
func (c *cache) moment(exptime int32, now time.Duration) time.Duration {
	switch {
	case exptime == 0:
		return 0
	case exptime < 0:
		return now
	case exptime <= monthSeconds:
		return now + time.Duration(exptime)*time.Second
	}
	return max(time.Unix(int64(exptime), 0).Sub(c.start), 1)
}

// findLocked returns the item of key, or nil. One whose time is over goes.
func (c *cache) findLocked(key []byte, now time.Duration) *item {
	it := c.items[string(key)]
	if it != nil && it.expires != 0 && it.expires <= now {
		c.removeLocked(it)
		c.count.getExpired++
		return nil
	}
	return it
}

func (c *cache) removeLocked(it *item) {
	delete(c.items, it.key)
	it.prev.next, it.next.prev = it.next, it.prev
	c.bytes -= it.size()
}

// usedLocked puts it first in the ring.
func (c *cache) usedLocked(it *item) {
	if it.prev != nil {
		it.prev.next, it.next.prev = it.next, it.prev
	}
	it.prev, it.next = &c.ring, c.ring.next
	it.prev.next, it.next.prev = it, it
}

// replaceLocked gives it another value, and makes room for that.
func (c *cache) replaceLocked(it *item, value []byte, now time.Duration) {
	c.bytes += int64(len(value)) - int64(len(it.value))
	it.value = value
	c.cas++
	it.cas = c.cas
	c.usedLocked(it)
	for c.bytes > c.maxBytes && c.ring.prev != it {
		last := c.ring.prev
		if last.expires != 0 && last.expires <= now {
			c.count.reclaimed++
		} else {
			c.count.evictions++
		}
		c.removeLocked(last)
	}
}

// found is an item as it was at one moment.
type found struct {
	value []byte
	flags uint32
	cas   uint64
}

// get returns what is stored under key. Where touch is set, it expires anew.
func (c *cache) get(key []byte, touch *int32) (found, bool) {
	now := c.lock()
	defer c.mu.Unlock()
	hits, misses := &c.count.getHits, &c.count.getMisses
	if touch == nil {
		c.count.cmdGet++
	} else {
		c.count.cmdTouch++
		hits, misses = &c.count.touchHits, &c.count.touchMisses
	}
	it := c.findLocked(key, now)
	if it == nil {
		*misses++
		return found{}, false
	}
	*hits++
	f := found{it.value, it.flags, it.cas}
	if touch != nil {
		it.expires = c.moment(*touch, now)
	}
	c.usedLocked(it)
	return f, true
}

// verb is one of the commands that store.
type verb string

const (
	set         verb = "set"
	add         verb = "add"
	replace     verb = "replace"
	appendTo    verb = "append"
	prependTo   verb = "prepend"
	checkAndSet verb = "cas"
)

// store does what v says, and returns the line to answer with. The value is the
// cache's from now on. cas is of use to checkAndSet alone.
func (c *cache) store(v verb, key []byte, flags uint32, exptime int32, value []byte, cas uint64, fits func(n int) bool) string {
	now := c.lock()
	defer c.mu.Unlock()
	c.count.cmdSet++
	it := c.findLocked(key, now)
	switch v {
	case add:
		if it != nil {
			c.usedLocked(it)
			return notStored
		}
	case replace:
		if it == nil {
			return notStored
		}
	case checkAndSet:
		switch {
		case it == nil:
			c.count.casMisses++
			return notFound
		case it.cas != cas:
			c.count.casBadval++
			return exists
		}
		c.count.casHits++
	case appendTo, prependTo:
		if it == nil || !fits(len(it.value)+len(value)) {
			return notStored
		}
		joined := make([]byte, 0, len(it.value)+len(value)) // never in place: a reader may be sending the old value
		if v == appendTo {
			joined = append(append(joined, it.value...), value...)
		} else {
			joined = append(append(joined, value...), it.value...)
		}
		c.count.totalItems++
		c.replaceLocked(it, joined, now)
		return stored
	}
	if it == nil {
		it = &item{key: string(key)}
		c.items[it.key] = it
		c.bytes += it.size()
	}
	it.flags, it.expires = flags, c.moment(exptime, now)
	c.count.totalItems++
	c.replaceLocked(it, value, now)
	return stored
}

// tooLarge notes that a value was refused. What a set would have replaced goes: it
// is older than what the client wanted to be there.
func (c *cache) tooLarge(v verb, key []byte) {
	now := c.lock()
	defer c.mu.Unlock()
	c.count.storeTooLarge++
	if it := c.findLocked(key, now); it != nil && v == set {
		c.removeLocked(it)
	}
}

func (c *cache) delete(key []byte) bool {
	now := c.lock()
	defer c.mu.Unlock()
	it := c.findLocked(key, now)
	if it == nil {
		c.count.deleteMisses++
		return false
	}
	c.count.deleteHits++
	c.removeLocked(it)
	return true
}

func (c *cache) touch(key []byte, exptime int32) bool {
	now := c.lock()
	defer c.mu.Unlock()
	c.count.cmdTouch++
	it := c.findLocked(key, now)
	if it == nil {
		c.count.touchMisses++
		return false
	}
	c.count.touchHits++
	it.expires = c.moment(exptime, now)
	c.usedLocked(it)
	return true
}

// count64 adds delta to a number, or takes it away, and returns the line to answer
// with: the sum is that of 64 bits, and no difference is less than 0.
func (c *cache) count64(incr bool, key []byte, delta uint64) string {
	now := c.lock()
	defer c.mu.Unlock()
	hits, misses := &c.count.decrHits, &c.count.decrMisses
	if incr {
		hits, misses = &c.count.incrHits, &c.count.incrMisses
	}
	it := c.findLocked(key, now)
	if it == nil {
		*misses++
		return notFound
	}
	n, ok := parseUint(it.value, 64)
	if !ok {
		return nonNumeric
	}
	*hits++
	switch {
	case incr:
		n += delta
	case delta > n:
		n = 0
	default:
		n -= delta
	}
	digits := strconv.AppendUint(nil, n, 10)
	value := digits
	for len(value) < len(it.value) { // memcached writes in place, and pads: a counter never gets shorter
		value = append(value, ' ')
	}
	c.replaceLocked(it, value, now)
	return string(digits)
}

// flush removes everything, now or at a later time: then also what was stored in
// between. A later flush takes the place of one that was still to come.
func (c *cache) flush(exptime int32) {
	now := c.lock()
	defer c.mu.Unlock()
	c.count.cmdFlush++
	if exptime <= 0 {
		c.emptyLocked()
		c.cas++ // as memcached: what had this one is not the last that was flushed
		c.flushAt = 0
		return
	}
	c.flushAt = c.moment(exptime, now)
}

// numbers are the counts of one moment.
type numbers struct {
	counts
	items int
	bytes int64
	up    time.Duration
}

func (c *cache) numbers() numbers {
	now := c.lock()
	defer c.mu.Unlock()
	return numbers{c.count, len(c.items), c.bytes, now}
}

func (c *cache) reset() {
	c.lock()
	defer c.mu.Unlock()
	c.count = counts{}
}

// parseUint reads a number as memcached does, which means as C does: white space,
// a sign, digits, and then the end or more white space. "-0" is a number, "-1" is
// none. It returns false as well for what bits cannot hold.
func parseUint(text []byte, bits int) (uint64, bool) {
	n, negative, ok := parse(text)
	if negative && n != 0 || bits < 64 && n>>bits != 0 {
		return 0, false
	}
	return n, ok
}

// parseInt is parseUint for what may be negative.
func parseInt(text []byte) (int32, bool) {
	n, negative, ok := parse(text)
	switch {
	case negative && n <= -math.MinInt32:
		return int32(-int64(n)), ok
	case n <= math.MaxInt32:
		return int32(n), ok
	}
	return 0, false
}

func parse(text []byte) (n uint64, negative, ok bool) {
	i := 0
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative = text[i] == '-'
		i++
	}
	first := i
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		digit := uint64(text[i] - '0')
		if n > (math.MaxUint64-digit)/10 {
			return 0, false, false
		}
		n = n*10 + digit
	}
	ends := i == len(text) || isSpace(text[i]) || text[i] == 0
	return n, negative, i > first && ends
}

func isSpace(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
