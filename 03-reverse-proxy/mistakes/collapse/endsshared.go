//go:build ignore

// It ends the context of fetch as soon as the first caller has left, whatever the value is.
// But a value that may be shared goes to all who still wait: each of them gets a body that
// breaks off in the middle, because somebody else hung up.
//
//workshop:caught-by TestDo/does_not_end_the_context_of_what_others_got
//workshop:says Only a value that may not be shared is nobody's
package collapse

import "context"

func (g *Group[V]) startLocked(ctx context.Context, key string, fetch func(context.Context) (V, bool, error)) *call[V] {
	c := &call[V]{owned: true, done: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if g.calls == nil {
		g.calls = map[string]*call[V]{}
	}
	g.calls[key] = c
	go settle(ctx, fetch, func(v V, share bool, err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.removeLocked(key, c)
		c.value, c.share, c.err = v, share || err != nil, err
		if !c.owned {
			c.cancel()
		}
		close(c.done)
	})
	return c
}
