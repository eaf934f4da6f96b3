// Package hashring sends the requests of one key, a customer's, say, to one
// backend, which then has at hand what it remembers of them. It moves as few
// keys as can be when a backend comes or goes, and moves some on when a backend
// has too much to do.
//
// The name is that of the classic: backends and keys are hashed onto a ring,
// and a key belongs to the next backend on it (Karger and others, 1997). This
// package does the same without the ring, by rendezvous: each backend has a
// score for each key, and the highest one has the key. Nothing is built, so
// nothing has to be built anew when the pool changes, and of those behind the
// first each key has an order of its own. The price is a look at every backend
// for each request, about 35 ns each: nothing for 30 of them. For thousands,
// take a ring or a table (Maglev).
//
// In the story, a guest who comes back finds his waiter again.
//
// Source: Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit
// Rates" (1998), on rendezvous; Schindelhauer and Schomaker, "Weighted
// Distributed Hash Tables" (2005), on weights; Mirrokni, Thorup, Zadimoghaddam,
// "Consistent Hashing with Bounded Loads" (2016), on the bound.
package hashring

import (
	"fmt"
	"math"
	"math/rand/v2"

	"clicktocode.example/02-load-balancer/balancer"
)

// HashRing is a balancer.Picker. Make one with New.
type HashRing struct {
	// factor is how far above its fair share a backend may go, or 0: any far.
	factor float64
}

var _ balancer.Picker = (*HashRing)(nil)

// New returns a HashRing under which no backend carries more than factor times
// its fair share. 1.25 is a good one. At 1 all carry the same, and many keys
// move; 0 means no bound. Below 1, the shares would not add up to the load:
// that is an error, as are infinity and NaN.
func New(factor float64) (*HashRing, error) {
	if factor != 0 && !(factor >= 1) || math.IsInf(factor, 0) {
		return nil, fmt.Errorf("hashring: factor %v: want at least 1, or 0 for no bound", factor)
	}
	return &HashRing{factor: factor}, nil
}

// Pick returns, of those backends of pool that are available and have room, the
// one of the highest score for key. If none is available, it returns nil.
//
// So the order in which pool holds them makes no difference. A key is moved
// only if its backend leaves, is full, or a newcomer outbids it; and where it
// moves to is its own: the keys of one backend spread over all the others. All
// processes agree, as long as names and weights are the same.
//
// A backend has room while Active() is less than
//
//	ceil(factor * (total + 1) * weight / weights)
//
// where total is what all available backends have under way, 1 is this request,
// and weights is the sum of their weights; without a bound, always. So there is
// room somewhere. But counts change while Pick looks: if it finds none, it
// returns the one of the highest score all the same. And callers at once, each
// of whom sees the same room, may fill it more than once.
//
// Pick allocates nothing: it makes no list, and sorts nothing.
//
// The empty key belongs to nobody. Such requests spread over all, by weight.
func (h *HashRing) Pick(pool []*balancer.Backend, key string) *balancer.Backend {
	k := hash(key)
	if key == "" {
		k = rand.Uint64() // else all guests without a name crowd around one table
	}
	// TODO(hashring): Without a bound first: of those available, the one whose score(b, k) is highest.
	// Then the bound: add up what is under way and the weights, and pass over those that
	// are full. If you find none with room, since counts change meanwhile, take the
	// one of the highest score all the same.
	_ = k
	return nil
}

// score says how much b wants the key of that hash: a number above zero, the
// same in every process. Of several backends, each has the highest score for a
// share of all keys that is its share of the weights.
func score(b *balancer.Backend, key uint64) float64 {
	u := (float64(mix(hash(b.Name())^key)>>11) + 0.5) / (1 << 53) // between 0 and 1, both excluded
	return -float64(b.Weight()) / math.Log(u)
}

// hash is FNV-1a, of 64 bits. Package hash/maphash is better, but starts from
// another seed in each process, and two balancers would never agree.
func hash(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// mix makes each bit of the outcome depend on each bit of x (SplitMix64's last
// step), which FNV does badly for names as alike as a and b.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
