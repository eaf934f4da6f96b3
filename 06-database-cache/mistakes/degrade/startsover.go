//go:build ignore

// When its time is over, it clears the count, and begins as if all were well. So each
// time it takes several failures to find out that nothing has changed, and as many
// customers wait for a timeout.
//
//workshop:caught-by TestCache/stays_down_when_the_probe_fails
//workshop:says one is enough to know that it is still down
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
		c.failures = 0
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
}
