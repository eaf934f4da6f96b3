// Package balancer is the contract of chapter 2: what a backend is, how one is
// picked, and what a pool of them looks like to those who pick. It sends
// nothing anywhere.
//
// A request takes this path: package dispatch takes the pool's backends, a
// Picker chooses one of them, upstream's transport carries the request there,
// and what came of it is told to outlier and retry. Beside that, package checks
// asks each backend now and then whether it is well, and healthcheck decides
// what to make of the answers. In the story, this is the traffic cop who sends
// each order to a kitchen that can take it.
//
// Source: the vocabulary is HAProxy's and Envoy's; "The Tail at Scale" (Dean,
// Barroso, CACM 2013) on why it matters which backend is picked.
package balancer

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrNoBackend says that no backend is available: the pool is empty, or all in
// it are down, ejected or draining.
var ErrNoBackend = errors.New("no backend available")

// Picker chooses where a request goes. Its methods may be called by many
// goroutines at once.
type Picker interface {
	// Pick returns one of pool that is available, or nil when none is. It
	// neither keeps nor changes pool, which may be another one, with other
	// backends in it, at each call.
	//
	// Requests of one key belong together, a customer's, say. A picker that
	// sends them to one backend says so; the others take no notice of the key.
	// It is empty where nothing belongs together.
	Pick(pool []*Backend, key string) *Backend
}

// PickUntried asks p for one of pool that is not in tried, nil when there is none.
// It asks over all of pool first: a picker that takes turns goes on to the next
// backend then. Over the smaller pool its turn would come back to the one that
// failed, whose neighbour would get all that is tried again.
func PickUntried(p Picker, pool, tried []*Backend, key string) *Backend {
	for range tried {
		if b := p.Pick(pool, key); b == nil || !slices.Contains(tried, b) {
			return b
		}
	}
	if len(tried) > 0 {
		pool = slices.DeleteFunc(slices.Clone(pool), func(b *Backend) bool { return slices.Contains(tried, b) })
	}
	return p.Pick(pool, key)
}

// Backend is one server that requests may be sent to. All methods may be
// called by many goroutines at once. Make one with NewBackend.
type Backend struct {
	name   string
	addr   string
	weight int

	down, ejected, draining atomic.Bool

	active atomic.Int64
	begun  atomic.Uint64

	watched  atomic.Bool // whether there are any watchers
	mu       sync.Mutex  // guards watchers
	watchers map[chan<- struct{}]int
}

// NewBackend returns a backend that is up. The name identifies it in logs,
// cookies and hashes, and is unique in a pool. addr is "host:port". weight is
// its share of the requests, relative to the others; below 1 it counts as 1.
func NewBackend(name, addr string, weight int) (*Backend, error) {
	if name == "" {
		return nil, errors.New("balancer: a backend needs a name")
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("balancer: backend %s: %w", name, err)
	}
	return &Backend{name: name, addr: addr, weight: max(1, weight)}, nil
}

// Name identifies the backend in its pool.
func (b *Backend) Name() string { return b.name }

// Addr is where it listens, "host:port".
func (b *Backend) Addr() string { return b.addr }

// Weight is its share of the requests, at least 1.
func (b *Backend) Weight() int { return b.weight }

// Available reports whether new requests may be sent to it: it is neither down
// nor ejected nor draining. The answer may be out of date when it arrives, so
// a request can always meet a backend that is not there any more.
func (b *Backend) Available() bool {
	return !b.down.Load() && !b.ejected.Load() && !b.draining.Load()
}

// SetDown notes what active checks found. SetEjected notes what passive ones
// decided. SetDraining notes that it is to get no new requests, since it is
// about to leave. Each reports whether that is news.

func (b *Backend) SetDown(down bool) (changed bool)       { return b.down.Swap(down) != down }
func (b *Backend) SetEjected(ejected bool) (changed bool) { return b.ejected.Swap(ejected) != ejected }
func (b *Backend) SetDraining(draining bool) (changed bool) {
	return b.draining.Swap(draining) != draining
}

// State says why it is not available, in one word, or "up".
func (b *Backend) State() string {
	switch {
	case b.draining.Load():
		return "draining"
	case b.down.Load():
		return "down"
	case b.ejected.Load():
		return "ejected"
	}
	return "up"
}

// Begin counts a request that is sent to it, End one that is over: answered to
// the last octet, failed, or given up. Each Begin needs one End.

func (b *Backend) Begin() {
	b.active.Add(1)
	b.begun.Add(1)
}

func (b *Backend) End() {
	if b.active.Add(-1) == 0 && b.watched.Load() {
		b.tellWatchers()
	}
}

// Active is how many requests are with it now, of those that this process sent.
func (b *Backend) Active() int64 { return b.active.Load() }

// Begun is how many requests were sent to it so far, by this process. It only grows.
func (b *Backend) Begun() uint64 { return b.begun.Load() }

// NotifyIdle sends to c whenever an End leaves no request with b, until stop is
// called. It does not wait for c, so give it room for one. By the time that
// something arrives there may be a new request: look at Active again. And what
// ended before NotifyIdle was called is not told.
func (b *Backend) NotifyIdle(c chan<- struct{}) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers == nil {
		b.watchers = map[chan<- struct{}]int{}
	}
	b.watchers[c]++
	b.watched.Store(true)
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.watchers[c]--; b.watchers[c] == 0 {
			delete(b.watchers, c)
		}
		b.watched.Store(len(b.watchers) > 0)
	})
}

func (b *Backend) tellWatchers() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Pool is a set of backends that may change while requests are served. Its
// zero value is empty. Its methods may be called by many goroutines at once.
type Pool struct {
	mu   sync.Mutex // held to change it; to read it takes no lock
	list atomic.Pointer[[]*Backend]
}

// NewPool returns a pool of backends, in that order.
func NewPool(backends ...*Backend) (*Pool, error) {
	p := &Pool{}
	for _, b := range backends {
		if err := p.Add(b); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Backends are those in the pool, also those that are not available. The slice
// is never changed, and must not be.
func (p *Pool) Backends() []*Backend {
	if list := p.list.Load(); list != nil {
		return *list
	}
	return nil
}

// Add puts b at the end. A second backend of one name is an error.
func (p *Pool) Add(b *Backend) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Get(b.Name()) != nil {
		return fmt.Errorf("balancer: the pool has a backend %s already", b.Name())
	}
	list := append(slices.Clone(p.Backends()), b)
	p.list.Store(&list)
	return nil
}

// Remove takes the backend of that name out, and returns it; nil when there is
// none. Requests that are with it go on.
func (p *Pool) Remove(name string) *Backend {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.Get(name)
	if b != nil {
		list := slices.DeleteFunc(slices.Clone(p.Backends()), func(other *Backend) bool { return other == b })
		p.list.Store(&list)
	}
	return b
}

// Get returns the backend of that name, or nil.
func (p *Pool) Get(name string) *Backend {
	for _, b := range p.Backends() {
		if b.Name() == name {
			return b
		}
	}
	return nil
}
