package main

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/solution/hashring"
	"clicktocode.example/02-load-balancer/solution/leastconn"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/02-load-balancer/weighted"
)

// The kitchens: each cooks so many dishes at once, and lets the others wait in
// the order in which they came. The last one takes longer, which only pickers
// that are told know beforehand.
const (
	backendCount = 9
	workers      = 4
	service      = 20 * time.Millisecond // on average; exponentially distributed, as the gaps are
	slow         = 30 * time.Millisecond // the last one's
	rate         = 1150                  // requests a second, on average
	requests     = 40_000
	guests       = 5000 // keys
)

func setting() string {
	capacity := workers*(backendCount-1)/service.Seconds() + workers/slow.Seconds()
	return fmt.Sprintf("%d backends with %d workers each. A request takes %v of work, and %v at the last backend.\n%d requests, %d a second: %.0f %% of what all of them can do.",
		backendCount, workers, service, slow, requests, rate, 100*rate/capacity)
}

// scenario is who balances.
type scenario struct {
	title     string
	balancers int
	// Each balancer is told this often how many requests all of them have under
	// way, and knows of its own ones only in between. Zero: it knows it all.
	told time.Duration
}

var scenarios = []scenario{
	{title: "One balancer", balancers: 1},
	{title: "Ten balancers, whose counts are up to 100 ms old", balancers: 10, told: 100 * time.Millisecond},
}

// pickers are new for each balancer, numbered from 0. chance is its own. Those
// that are told get backends whose weights say how fast they are; for the
// others all weigh the same.
var pickers = []kind{
	{"at random", false, func(_ int, chance *rand.Rand) (balancer.Picker, error) { return random{chance}, nil }},
	{"round robin", false, func(number int, _ *rand.Rand) (balancer.Picker, error) { return roundrobin.New(uint64(number)), nil }},
	{"... by weight, told", true, func(int, *rand.Rand) (balancer.Picker, error) { return weighted.New(0), nil }},
	{"least busy of all", false, func(_ int, chance *rand.Rand) (balancer.Picker, error) { return leastOfAll{chance}, nil }},
	{"less busy of two", false, func(_ int, chance *rand.Rand) (balancer.Picker, error) { return leastconn.New(chance.IntN), nil }},
	{"hash, bound 1.25", false, func(int, *rand.Rand) (balancer.Picker, error) { return hashring.New(1.25) }},
}

type kind struct {
	name string
	told bool
	new  func(number int, chance *rand.Rand) (balancer.Picker, error)
}

// random and leastOfAll are here to compare with, and for nothing else.
type (
	random     struct{ chance *rand.Rand }
	leastOfAll struct{ chance *rand.Rand }
)

func (r random) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	return pool[r.chance.IntN(len(pool))]
}

// Pick leaves it to chance where several are as busy, which is fairer than to
// take the first one.
func (l leastOfAll) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	start := l.chance.IntN(len(pool))
	best := pool[start]
	for i := range pool {
		if b := pool[(start+i)%len(pool)]; b.Active() < best.Active() {
			best = b
		}
	}
	return best
}

// latencies are sorted.
type latencies []time.Duration

// at is what so many of a hundred requests took at most.
func (l latencies) at(percent float64) time.Duration {
	return l[min(len(l)-1, int(percent/100*float64(len(l))))]
}

// play sends the requests, and returns how long each took, from its arrival to
// its end. Gaps, balancers and keys are the same for all pickers of one seed.
func (s scenario) play(k kind, seed uint64) (latencies, error) {
	chance := rand.New(rand.NewPCG(seed, 0))
	type proxy struct {
		picker balancer.Picker
		view   []*balancer.Backend // the backends, with the counts that this one knows
	}
	proxies := make([]proxy, s.balancers)
	for i := range proxies {
		p, err := k.new(i, rand.New(rand.NewPCG(seed, uint64(i+1))))
		if err != nil {
			return nil, err
		}
		proxies[i].picker = p
		for n := range backendCount {
			weight := 1
			if k.told {
				weight = int(slow / time.Millisecond)
				if n == backendCount-1 {
					weight = int(service / time.Millisecond)
				}
			}
			b, err := balancer.NewBackend(fmt.Sprint("kitchen-", n), "127.0.0.1:80", weight)
			if err != nil {
				return nil, err
			}
			proxies[i].view = append(proxies[i].view, b)
		}
	}
	var free [backendCount][workers]time.Duration // when each worker will have nothing to do
	var active [backendCount]int64
	var running ends
	var took latencies
	var now time.Duration
	next := s.told // when the balancers are told again
	for range requests {
		now += time.Duration(chance.ExpFloat64() * float64(time.Second) / rate)
		for ; s.told > 0 && next <= now; next += s.told {
			running.endBefore(next, &active)
			for _, p := range proxies {
				for n, b := range p.view {
					set(b, active[n])
				}
			}
		}
		running.endBefore(now, &active)

		p := proxies[chance.IntN(len(proxies))]
		key := fmt.Sprint("guest-", chance.IntN(guests))
		work := chance.ExpFloat64()
		b := p.picker.Pick(p.view, key)
		n := slices.Index(p.view, b)
		if n < 0 {
			return nil, errors.New("all backends are available, and it picked none of them")
		}
		mean := service
		if n == backendCount-1 {
			mean = slow
		}
		worker := slices.Index(free[n][:], slices.Min(free[n][:]))
		end := max(now, free[n][worker]) + time.Duration(work*float64(mean))
		free[n][worker] = end
		b.Begin()
		active[n]++
		heap.Push(&running, ending{end, n, b})
		took = append(took, end-now)
	}
	slices.Sort(took)
	return took, nil
}

// set makes b's count n.
func set(b *balancer.Backend, n int64) {
	for ; b.Active() < n; b.Begin() {
	}
	for ; b.Active() > n; b.End() {
	}
}

// ending is a request that will be over at a time.
type ending struct {
	at      time.Duration
	n       int               // which backend
	backend *balancer.Backend // the same, as its balancer sees it
}

// ends are a heap: the next one is the first.
type ends []ending

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].at < e[j].at }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// endBefore ends what is over by now.
func (e *ends) endBefore(now time.Duration, active *[backendCount]int64) {
	for len(*e) > 0 && (*e)[0].at <= now {
		over := heap.Pop(e).(ending)
		over.backend.End()
		active[over.n]--
	}
}
