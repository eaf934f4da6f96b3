//go:build ignore

// When its time is over, it lets the probe through, and all who come while the probe
// runs. If the server still hangs, each of them waits until the timeout.
//
//workshop:caught-by TestCache/sends_one_probe
//workshop:says Whoever becomes the probe moves c.retry on
package degrade

import "clicktocode.example/06-database-cache/kv"

func (c *Cache) do(call func() error) error {
	c.mu.Lock()
	begun := c.config.Now()
	if c.failures >= c.config.Failures && begun.Before(c.retry) {
		c.mu.Unlock()
		return kv.ErrDown
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
