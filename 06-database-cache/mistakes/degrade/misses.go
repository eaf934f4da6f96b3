//go:build ignore

// It takes each error for a failure. But a miss is an error in Go and an answer in
// memcached. After a restart everything misses, so the cache is "down", nobody may
// fill it, and it stays empty.
//
//workshop:caught-by TestCache/is_not_down_for_misses
//workshop:says a miss is an answer, and no failure
package degrade

import "clicktocode.example/06-database-cache/kv"

func (c *Cache) do(call func() error) error {
	c.mu.Lock()
	begun := c.config.Now()
	if c.failures >= c.config.Failures {
		if begun.Before(c.retry) {
			c.mu.Unlock()
			return kv.ErrDown
		}
		c.retry = begun.Add(c.config.Retry)
	}
	c.mu.Unlock()

	err := call()

	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.config.Now()
	if err == nil && end.Sub(begun) <= c.config.Slow {
		c.failures = 0
		return nil
	}
	c.failures++
	c.retry = end.Add(c.config.Retry)
	return err
}
