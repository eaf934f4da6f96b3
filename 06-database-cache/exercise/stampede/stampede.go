// Package stampede makes one reload for all who miss the same at the same time, in
// this process and in the others.
//
// The menu in the cache expires at eight in the evening. Within a hundredth of a
// second a thousand customers ask for it, on three replicas, and none of them finds
// it. Each asks the database, which was quick as long as nobody asked it, and is now
// slow; so more come, who find nothing either. In the story, somebody takes the last
// of the soup from the fridge, and forty cooks run down to the pantry.
//
// So in each process one goes, for all of it (golang.org/x/sync/singleflight). And
// before he goes, he hangs a sign on the fridge: somebody is on the way. memcached's
// add, which succeeds for one, is the sign. The others look into the fridge now and
// then.
//
//	replica 1   500 readers ─► one: add lock ─ peek ─ reload ─ keep ─ release ─► 500
//	replica 2   300 readers ─► one: add: taken ─ wait ─ peek ─ wait ─ peek ────► 300
//	replica 3   200 readers ─► one: add: taken ─ wait ─ peek ─ wait ─ peek ────► 200
//
// The sign has an end, since he may fall down the stairs. And it is a courtesy, not a
// guarantee: memcached may lose it, so that two reload, and no harm is done. For what
// must not be done twice, this is the wrong lock.
//
// When not to use it: for what is asked for now and then. There the lock costs more
// calls than it saves loads.
//
// Source: R. Nishtala and others, "Scaling Memcache at Facebook" (NSDI 2013) §3.2.1,
// "thundering herds"; M. Kleppmann, "How to do distributed locking" (2016), on what
// such a lock is good for, and for what it is not.
package stampede

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"golang.org/x/sync/singleflight"

	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/solution/cacheaside"
)

// ErrClosed is the error of Do after Close.
var ErrClosed = errors.New("stampede: closed")

// Config is how a Group behaves. The zero value is fine.
type Config struct {
	// Timeout is how long one reload may take: its context ends then. Those who wait
	// for one that died wait two seconds longer at most. 0 means 2 s; it must not be
	// negative, nor more than an hour.
	Timeout time.Duration
	// Poll is how often they look who wait for another process. 0 means 20 ms; it
	// must not be negative.
	Poll time.Duration
}

// Group makes one reload for all who ask for the same key. It may be used by many
// goroutines at once. Make it with New; whoever does so calls Close.
type Group[V any] struct {
	cache   kv.Cache
	config  Config // without zeros
	lock    int32  // the Expiration of a lock, in seconds: longer than a reload may take
	flights singleflight.Group

	ctx     context.Context // of the flights; Close ends it
	cancel  context.CancelFunc
	mu      sync.Mutex // guards closed
	closed  bool
	running sync.WaitGroup // the flights under way; Close waits for them
}

// New returns a Group whose locks are in cache. err names all faults of c at once.
func New[V any](cache kv.Cache, c Config) (*Group[V], error) {
	var faults []error
	if c.Timeout < 0 || c.Timeout > time.Hour {
		faults = append(faults, fmt.Errorf("stampede: Timeout is %s, must be 0 to 1h", c.Timeout))
	}
	if c.Poll < 0 {
		faults = append(faults, fmt.Errorf("stampede: Poll is %s, must not be negative", c.Poll))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Poll == 0 {
		c.Poll = 20 * time.Millisecond
	}
	g := &Group[V]{cache: cache, config: c}
	g.lock = cacheaside.Expiration(c.Timeout, 0, 0) + 1 // memcached's clock has whole seconds: of the last one, nothing may be left
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g, nil
}

// Close ends the flights under way, whose callers get an error, and waits for them.
// Do returns ErrClosed afterwards, unless peek finds something.
func (g *Group[V]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.running.Wait()
}

// Do returns what there is for key: what peek finds, or else what one reload makes
// for all.
//
// peek looks into the cache, and ok says whether it has found something. reload
// loads, and keeps what it loaded where peek finds it. Both may be called by another
// goroutine, also when this caller has left. All callers get the same value, and
// must not change what it points to.
//
//   - If peek finds something, that is it. Nobody waits, and nothing is locked.
//   - Otherwise one flight is made for all callers of this Group with this key who
//     ask at the same time: lead, in fly. The value that it comes to is for all of
//     them, or the error. Neither is remembered: whoever asks afterwards begins
//     again, with peek.
//   - If ctx ends before the flight does, the caller leaves at once, with
//     context.Cause(ctx). The flight goes on, for the others and for the cache. It
//     has the values of the ctx of the caller who began it, and not its end.
func (g *Group[V]) Do(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	// TODO(stampede): Peek. If there is nothing, g.flights.DoChan calls g.fly, once for all, and that
	// calls g.lead. Wait for what comes out of the channel, or for the end of ctx.
	// The reference imports, besides what stands above: "crypto/rand".
	return v, nil
}

// lead returns what one reload makes, for the callers of all processes. It runs in
// one goroutine of this process for key, and in one of each other.
//
// It takes the lock: by Add, an item under kv.Key("lock", key), with a value that
// nobody else has (rand.Text) and the Expiration g.lock. Of all, one succeeds.
//
//   - Who has the lock peeks once more, since who had it before may have kept
//     something just now. If that finds nothing, it calls reload, by g.call, once. It
//     gives the lock back in any case: g.release.
//   - Who does not get it, as it is taken (memcache.ErrNotStored), peeks as well. If
//     that finds nothing, it waits for Config.Poll, and begins again with the lock:
//     perhaps its holder has failed, or has died and the lock has expired.
//   - If the cache has a fault (kv.Fault), there is no lock to be had: reload is
//     called without one. That is once for each process, and not for each caller.
//   - If ctx ends, lead returns its error.
func (g *Group[V]) lead(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	// TODO(stampede): Make the lock's item. Then, in a loop, the four sentences above, and a select of
	// time.After and ctx.Done.
	return v, nil
}

// fly calls f in a context of its own, which has the values of ctx, and which Close
// ends; it ends by itself when f has had the time to outwait a lock and to reload.
// A panic of f is its error: nobody else could recover it here, and the process would
// end.
func (g *Group[V]) fly(ctx context.Context, f func(ctx context.Context) (V, error)) (v V, err error) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return v, ErrClosed
	}
	g.running.Add(1)
	g.mu.Unlock()
	defer g.running.Done()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(g.lock)*time.Second+g.config.Timeout)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("stampede: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}

// call calls reload, for at most Config.Timeout: the lock lasts a little longer.
func (g *Group[V]) call(ctx context.Context, reload func(ctx context.Context) (V, error)) (V, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	return reload(ctx)
}

// release gives lock back, if it is still ours. It may have expired, and be
// another's by now, who is reloading: a plain delete would take that one's away. So
// it is replaced, by its CAS ID, by one that has expired already. If that fails, it
// ends by itself.
func (g *Group[V]) release(lock *memcache.Item) {
	there, err := g.cache.Get(lock.Key)
	if err != nil || string(there.Value) != string(lock.Value) {
		return
	}
	there.Expiration = -1
	_ = g.cache.CompareAndSwap(there)
}
