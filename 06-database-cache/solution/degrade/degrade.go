// Package degrade goes on without the cache when the cache is down.
//
// A cache that is down costs more than none. Each request asks it first, waits until
// the timeout, and only then goes to the database: a shop that answered in 5 ms
// answers in 105, holds twenty times as many requests at once, and falls over
// something that it does not need. So after some failures in a row nobody asks any
// more, and the error comes at once; now and then one asks, to see whether it is
// back. In the story, the fridge's door is stuck. After five have pulled at it, the
// cooks walk past it to the pantry, and one pulls every two seconds.
//
// This is the small sister of package breaker, from chapter 5: a count and a time in
// place of three states. It can be, since all that depends on it is speed. Whoever
// calls gets by without an answer, and asks the database.
//
// One Cache is for one server. Of several (kv.Spread), each needs one of its own: in
// a row with the answers of those that are well, the failures of one never come to a
// number.
//
// When not to use it: in front of a server whose answers are needed.
//
// Source: M. Nygard, "Release It!" (2nd edition, 2018), "Circuit Breaker"; nginx's
// max_fails and fail_timeout.
package degrade

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/kv"
)

// Config says when a cache is down, and for how long. The zero value is fine.
type Config struct {
	// Failures is how many calls in a row fail before it is down. 0 means 5; it must
	// not be negative.
	Failures int
	// Slow is how long a call may take: one that takes longer is a failure, whatever
	// it returns. 0 means 50 ms; it must not be negative.
	Slow time.Duration
	// Retry is how long no call is made after a failure, while it is down. 0 means 2 s;
	// it must not be negative.
	Retry time.Duration
	// Now is the clock. nil means time.Now. It may be called by many goroutines at
	// once.
	Now func() time.Time
}

// Cache is a kv.Cache around another one, of one server. It may be used by many
// goroutines at once. Make it with New. It has no goroutine, and need not be closed.
type Cache struct {
	cache  kv.Cache
	config Config // without zeros

	mu       sync.Mutex // guards what follows; never held while a call runs
	failures int        // in a row. The cache is down from Config.Failures of them on
	retry    time.Time  // while it is down: when the next call may be made
}

var _ kv.Cache = (*Cache)(nil)

// New returns a Cache around cache, which is not down. err names all faults of c at
// once.
func New(cache kv.Cache, c Config) (*Cache, error) {
	var faults []error
	if c.Failures < 0 {
		faults = append(faults, fmt.Errorf("degrade: Failures is %d, must not be negative", c.Failures))
	}
	if c.Slow < 0 {
		faults = append(faults, fmt.Errorf("degrade: Slow is %s, must not be negative", c.Slow))
	}
	if c.Retry < 0 {
		faults = append(faults, fmt.Errorf("degrade: Retry is %s, must not be negative", c.Retry))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.Failures == 0 {
		c.Failures = 5
	}
	if c.Slow == 0 {
		c.Slow = 50 * time.Millisecond
	}
	if c.Retry == 0 {
		c.Retry = 2 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Cache{cache: cache, config: c}, nil
}

// Down reports whether the cache is down, for a gauge to show.
func (c *Cache) Down() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures >= c.config.Failures
}

// do makes call, in its own goroutine, and returns its error as it is. Or it does not
// make it, and returns kv.ErrDown at once.
//
//   - A call fails if its error is a fault (kv.Fault), or if it takes longer than
//     Config.Slow, by Config.Now. Any other is a success. So a miss is a success: the
//     server has answered.
//   - After Config.Failures failures in a row, the cache is down, and no call is made
//     for Config.Retry, counted from the end of the last one that failed.
//   - Then one call is made, the probe. While it runs, the others still get
//     kv.ErrDown; but if it takes as long as Config.Retry, the next call is a probe,
//     too. If it fails, the cache stays down, for Config.Retry once more.
//   - A success clears the count: the cache is not down, or not any more.
//
// Calls run side by side.
func (c *Cache) do(call func() error) error {
	//workshop:begin return nil
	//workshop:todo Under the lock: is it down (c.failures), and before c.retry? If it is down and
	//workshop:todo this is the probe, move c.retry on, for the others. Make the call without the lock.
	//workshop:todo Then, under the lock again, clear the count, or count it, and set c.retry.
	c.mu.Lock()
	begun := c.config.Now()
	if c.failures >= c.config.Failures {
		if begun.Before(c.retry) {
			c.mu.Unlock()
			return kv.ErrDown
		}
		c.retry = begun.Add(c.config.Retry) // else all who come while the probe runs would wait with it
	}
	c.mu.Unlock()

	err := call()

	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.config.Now()
	if !kv.Fault(err) && end.Sub(begun) <= c.config.Slow {
		c.failures = 0
		return err
	}
	c.failures++
	c.retry = end.Add(c.config.Retry)
	return err
	//workshop:end
}

// Get implements kv.Cache.
func (c *Cache) Get(key string) (item *memcache.Item, err error) {
	err = c.do(func() (err error) { item, err = c.cache.Get(key); return err })
	if err == nil && item == nil {
		err = memcache.ErrCacheMiss // nobody reckons with neither
	}
	return item, err
}

// Set implements kv.Cache.
func (c *Cache) Set(item *memcache.Item) error {
	return c.do(func() error { return c.cache.Set(item) })
}

// Add implements kv.Cache.
func (c *Cache) Add(item *memcache.Item) error {
	return c.do(func() error { return c.cache.Add(item) })
}

// CompareAndSwap implements kv.Cache.
func (c *Cache) CompareAndSwap(item *memcache.Item) error {
	return c.do(func() error { return c.cache.CompareAndSwap(item) })
}

// Delete implements kv.Cache.
func (c *Cache) Delete(key string) error {
	return c.do(func() error { return c.cache.Delete(key) })
}
