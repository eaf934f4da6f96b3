//go:build ignore

// Once it is down, it makes no call any more, so it never learns that the cache is
// back. Somebody has to restart the shop for that.
//
//workshop:caught-by TestCache/comes_back_by_itself
//workshop:says so the first one is made, as the probe
package degrade

import "clicktocode.example/06-database-cache/kv"

func (c *Cache) do(call func() error) error {
	c.mu.Lock()
	begun := c.config.Now()
	if c.failures >= c.config.Failures {
		c.mu.Unlock()
		return kv.ErrDown
	}
	c.mu.Unlock()

	err := call()

	c.mu.Lock()
	defer c.mu.Unlock()
	if !kv.Fault(err) && c.config.Now().Sub(begun) <= c.config.Slow {
		c.failures = 0
		return err
	}
	c.failures++
	return err
}
