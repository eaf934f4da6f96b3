package cache

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxVariants bounds what one URL may take up: an answer that varies by
	// User-Agent has more variants than it has readers.
	maxVariants = 64

	// entryOverhead is what an entry takes besides its keys, its header and its
	// content: the structs, the maps' slots, what the allocator rounds up.
	entryOverhead = 900
	// fieldOverhead is the same for each of its header fields.
	fieldOverhead = 120
)

// store holds entries within a number of octets. What it lets go of first is
// chosen by SIEVE: a hand goes round from the oldest to the newest, takes who was
// not used since it last came by, and spares the others. A hit moves nothing, and
// a million URLs that are asked for once each do not push out what is in use.
type store struct {
	max int64

	mu        sync.RWMutex // guards what follows, and what it says in object and entry
	used      int64        // of all entries, those on their way too
	entries   int          // in the queue
	evictions uint64       // so far
	objects   map[string]*object
	names     uint64 // of objects, so far

	newest, oldest, hand *entry // the queue, of those that are complete
}

// object is what is stored under one URL. It is dropped when nothing is left in
// it and nobody holds it.
type object struct {
	key  string
	name uint64 // no two objects have the same, nor one of the same key that came before

	// store.mu guards what follows.
	variants []*entry // the newest first. Never changed, only replaced
	mark     *entry   // says that answers under this URL are for one alone
	holders  int      // how many requests and fetches have it
	dead     bool     // it was invalidated: nothing is stored in it any more
}

// place is where an entry is.
type place int

const (
	nowhere  place = iota
	arriving       // found by those who look, and cannot be evicted: it would free nothing
	queued
)

// links are what the store knows of an entry. store.mu guards them but for used.
type links struct {
	object       *object
	place        place
	size         int64
	newer, older *entry
	used         atomic.Bool // since the hand last came by
}

// find returns the variants under key, which are for reading only, and whether
// the last answer under it was for one alone.
func (s *store) find(key []byte, now time.Time) (variants []*entry, private bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if o := s.objects[string(key)]; o != nil {
		return o.variants, o.mark != nil && now.Before(o.mark.until)
	}
	return nil, false
}

// hold returns the object under key, which may be new and empty, and whether
// answers under it are for one alone, as far as is known. It needs a release.
func (s *store) hold(key []byte, now time.Time) (o *object, private bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o = s.objects[string(key)]
	if o == nil {
		s.names++
		o = &object{key: string(key), name: s.names}
		s.objects[o.key] = o
	}
	o.holders++
	return o, o.mark != nil && now.Before(o.mark.until)
}

// holdAgain is hold for somebody who has o already.
func (s *store) holdAgain(o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.holders++
}

func (s *store) release(o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.holders--
	s.tidyLocked(o)
}

// variantsOf returns what is in o, for reading only.
func (s *store) variantsOf(o *object) []*entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return o.variants
}

// begin takes size octets for e, which is about to arrive, and lets it be found
// in o in place of the variant that it replaces; but not where o was invalidated
// after e was asked for. ok is false where there is no room. If it is true, e
// needs a settle.
func (s *store) begin(o *object, e *entry, size int64) (found, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.takeLocked(size) {
		return false, false
	}
	e.object, e.size = o, size
	if o.dead {
		return false, true
	}
	if o.mark != nil {
		s.removeLocked(o.mark)
	}
	for _, other := range o.variants {
		if other.key == e.key {
			s.removeLocked(other)
		}
	}
	if len(o.variants) == maxVariants {
		s.removeLocked(o.variants[maxVariants-1])
	}
	e.place = arriving
	o.variants = append([]*entry{e}, o.variants...)
	return true, true
}

// grow takes delta octets more for e, which is on its way, or gives them back.
func (s *store) grow(e *entry, delta int64) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.takeLocked(delta) {
		return false
	}
	e.size += delta
	return true
}

// settle says that e has arrived.
func (s *store) settle(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.place != arriving {
		s.used -= e.size // it was dropped or invalidated meanwhile
		return
	}
	s.enqueueLocked(e)
}

// setMark says that answers under o are for one alone, until the time in mark.
func (s *store) setMark(o *object, mark *entry, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.dead || !s.takeLocked(size) {
		return
	}
	if o.mark != nil {
		s.removeLocked(o.mark)
	}
	mark.object, mark.size, o.mark = o, size, mark
	s.enqueueLocked(mark)
}

// drop lets e not be found any more. What it takes is free at once if it has
// arrived, and otherwise when it settles.
func (s *store) drop(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(e)
}

// invalidate drops all that is stored under key, and all that is on its way there.
func (s *store) invalidate(key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[string(key)]
	if o == nil {
		return
	}
	o.dead = true // those who hold it find out when they come to store something
	delete(s.objects, o.key)
	for _, e := range o.variants {
		s.removeLocked(e)
	}
	if o.mark != nil {
		s.removeLocked(o.mark)
	}
}

// takeLocked counts size octets more, and evicts what it must for that.
func (s *store) takeLocked(size int64) (ok bool) {
	if size > s.max {
		return false
	}
	for size > 0 && s.used+size > s.max {
		e := s.victimLocked()
		if e == nil {
			return false // the rest is on its way
		}
		s.removeLocked(e)
		s.evictions++
	}
	s.used += size
	return true
}

// victimLocked moves the hand to the next entry that was not used.
func (s *store) victimLocked() *entry {
	for s.oldest != nil {
		if s.hand == nil {
			s.hand = s.oldest
		}
		e := s.hand
		s.hand = e.newer
		if !e.used.Swap(false) {
			return e
		}
	}
	return nil
}

func (s *store) enqueueLocked(e *entry) {
	e.place, e.older = queued, s.newest
	if s.newest != nil {
		s.newest.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
	s.entries++
}

// removeLocked lets e not be found, and takes it out of the queue if it is there.
func (s *store) removeLocked(e *entry) {
	if e.place == nowhere {
		return
	}
	o := e.object
	if o.mark == e {
		o.mark = nil
	} else {
		o.variants = slices.DeleteFunc(slices.Clone(o.variants), func(other *entry) bool { return other == e })
	}
	if e.place == queued {
		s.used -= e.size
		s.entries--
		if s.hand == e {
			s.hand = e.newer
		}
		if e.newer != nil {
			e.newer.older = e.older
		} else {
			s.newest = e.older
		}
		if e.older != nil {
			e.older.newer = e.newer
		} else {
			s.oldest = e.newer
		}
		e.newer, e.older = nil, nil
	}
	e.place = nowhere
	s.tidyLocked(o)
}

func (s *store) tidyLocked(o *object) {
	if len(o.variants) == 0 && o.mark == nil && o.holders == 0 && !o.dead {
		delete(s.objects, o.key)
	}
}
