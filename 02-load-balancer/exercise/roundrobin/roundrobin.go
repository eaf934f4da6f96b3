// Package roundrobin picks backends in turn: each gets a request, then the
// first one again.
//
// It is what nginx, HAProxy and Envoy do unless told otherwise, and hard to
// beat where all backends are alike and all requests cost about the same. It
// looks neither at weights (package weighted does) nor at how busy a backend is
// (leastconn). In the story, the traffic cop points at one kitchen after the
// other.
//
// Source: HAProxy's configuration manual, "balance roundrobin"; Herlihy and
// Shavit, The Art of Multiprocessor Programming, on compare-and-swap.
package roundrobin

import (
	"sync/atomic"

	"clicktocode.example/02-load-balancer/balancer"
)

// RoundRobin is a balancer.Picker that takes turns. Make one with New.
type RoundRobin struct {
	// turn is where the next Pick begins to look: at pool[turn % len(pool)].
	turn counter
}

var _ balancer.Picker = (*RoundRobin)(nil)

// counter is what an *atomic.Uint64 can do. Each call is one step, and nobody
// comes between. Between two calls, anybody may, and the tests let somebody.
type counter interface {
	Load() uint64
	Store(turn uint64)
	Add(delta uint64) (turn uint64)
	CompareAndSwap(old, turn uint64) (swapped bool) // sets it to turn if it is still old
}

// New returns a RoundRobin whose first Pick begins at pool[start % len(pool)].
// Any start is right. Where many balancers serve the same pool, let each start
// at random: otherwise all of them, restarted together, send their first
// request to the same backend.
func New(start uint64) *RoundRobin {
	turn := new(atomic.Uint64)
	turn.Store(start)
	return &RoundRobin{turn: turn}
}

// Pick returns the next backend of pool that is available, or nil when none is:
// an empty pool is no error. The key makes no difference.
//
// While pool and what is available in it stay the same, any k calls for each of
// the n available backends, one after the other or at once, return each of them
// exactly k times. One that is not available loses its turn; its neighbour does
// not get two. From call to call the pool may grow and shrink, and turns go on
// from about where they were.
//
// Pick allocates nothing, no slice and no map, and looks at one backend more
// than it skips: in a pool of 10,000 it costs what it costs in one of 3.
func (r *RoundRobin) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	// TODO(roundrobin): Read r.turn, and from there on, round the end of pool, find the first backend
	// that is available. Then set r.turn to the index behind it (at most len(pool)),
	// but only if it is still what you have read: otherwise somebody took that turn,
	// so look again.
	return nil
}
