//go:build ignore

// It makes each call, and leaves it to the timeout to end it. While the server hangs,
// each request waits for that, before it asks the database: the shop is twenty times
// as slow, for something that it does not need.
//
//workshop:caught-by TestCache/makes_no_call_when_it_is_down
//workshop:says waits for the whole timeout
package degrade

func (c *Cache) do(call func() error) error { return call() }
