//go:build ignore

// It fetches in the context of the caller who came first. When that one hangs up,
// its request ends, and with it the fetch that all the others wait for.
//
//workshop:caught-by TestDo/goes_on_when_the_first_caller_leaves
//workshop:says must not end with that of a
package collapse

import "context"

func (g *Group[V]) startLocked(ctx context.Context, key string, fetch func(context.Context) (V, bool, error)) *call[V] {
	c := &call[V]{owned: true, done: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(ctx)
	if g.calls == nil {
		g.calls = map[string]*call[V]{}
	}
	g.calls[key] = c
	go settle(ctx, fetch, func(v V, share bool, err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.removeLocked(key, c)
		c.value, c.share, c.err = v, share || err != nil, err
		if !c.share && !c.owned {
			c.cancel()
		}
		close(c.done)
	})
	return c
}
