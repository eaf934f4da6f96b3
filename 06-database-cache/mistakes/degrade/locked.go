//go:build ignore

// It holds the lock while a call runs, so that there is one call of the cache at a
// time in the whole process. A lock is never held over the network.
//
//workshop:caught-by TestCache/makes_calls_side_by_side
//workshop:says Is the lock held while a call runs
package degrade

import "clicktocode.example/06-database-cache/kv"

func (c *Cache) do(call func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := c.config.Now()
	if c.failures >= c.config.Failures && begun.Before(c.retry) {
		return kv.ErrDown
	}
	err := call()
	end := c.config.Now()
	if !kv.Fault(err) && end.Sub(begun) <= c.config.Slow {
		c.failures = 0
		return err
	}
	c.failures++
	c.retry = end.Add(c.config.Retry)
	return err
}
