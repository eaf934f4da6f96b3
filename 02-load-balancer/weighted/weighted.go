// Package weighted picks backends in turn, each as often as its weight says,
// and lets one that is new, or back, start slowly.
//
// The turns are smooth: weights 5, 1 and 1 give a a b a c a a, not a a a a a b c,
// under which the first one would be hit five times running. A backend that has
// just started has cold caches, no connections, and code that is not compiled
// yet; sent its full share at once, it may fall again.
//
// In the story, the large kitchen gets more orders than the small one, and who
// has only just lit the stove gets few.
//
// Source: nginx's smooth weighted round robin (Dounin, 2012);
// HAProxy's "slowstart".
package weighted

import (
	"sync"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
)

// Least is the share of its weight with which a backend starts slowly: with
// less, in a pool of large weights, the first request might be long in coming,
// and nothing gets warm.
const Least = 0.1

// RoundRobin is a balancer.Picker. Make one with New.
type RoundRobin struct {
	slow  time.Duration
	mu    sync.Mutex // guards what follows, and is held for one look at each backend
	known map[*balancer.Backend]*entry
	round uint64 // counts the calls of Pick
}

var _ balancer.Picker = (*RoundRobin)(nil)

// entry is what is known of one backend.
type entry struct {
	credit float64   // what it is owed; the highest one is next
	since  time.Time // when it was first seen available, after it was not
	seen   uint64    // the round in which it was last in the pool
}

// New returns a RoundRobin. A backend that becomes available, whether it is new
// or was down, starts at a share of Least of its weight, which grows evenly to
// the whole in the time of slow; zero or less turns that off. Backends that
// become available together grow together, so that a start of all is no slower.
func New(slow time.Duration) *RoundRobin {
	return &RoundRobin{slow: slow, known: map[*balancer.Backend]*entry{}}
}

// Pick returns the next backend of pool that is available, or nil when none is.
// While nothing changes, and none starts slowly, as many calls as the weights of
// those available add up to return each of them as often as its weight. The key
// makes no difference. Pick looks at each backend; it allocates only for one
// that it has not seen before.
func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.round++
	var now time.Time
	if r.slow > 0 {
		now = time.Now()
	}
	var best *balancer.Backend
	var next *entry
	var sum float64
	for _, b := range pool {
		e := r.known[b]
		if e == nil {
			e = &entry{since: now}
			r.known[b] = e
		}
		e.seen = r.round
		if !b.Available() {
			// What it was owed is gone. Otherwise it would get all that it had
			// missed at once, when it is weakest.
			e.credit, e.since = 0, time.Time{}
			continue
		}
		if e.since.IsZero() {
			e.since = now
		}
		w := float64(b.Weight()) * r.share(now.Sub(e.since))
		e.credit += w
		sum += w
		if next == nil || e.credit > next.credit {
			best, next = b, e
		}
	}
	if next != nil {
		next.credit -= sum
	}
	if len(r.known) > len(pool) { // some have left: without this, they would never be freed
		for b, e := range r.known {
			if e.seen != r.round {
				delete(r.known, b)
			}
		}
	}
	return best
}

// share is the part of its weight that a backend has, so long after it came.
func (r *RoundRobin) share(age time.Duration) float64 {
	if age >= r.slow {
		return 1
	}
	return max(Least, float64(age)/float64(r.slow))
}
