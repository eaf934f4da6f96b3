//go:build ignore

// It ends the context of fetch when fetch has returned, as one does with defer cancel().
// But what fetch returned may be the beginning of a body, and the rest of it is
// still to come under that context: every answer is cut off.
//
//workshop:caught-by TestDo/does_not_end_the_context_of_what_it_gave
//workshop:says a body that is still arriving
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
		defer c.cancel()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.removeLocked(key, c)
		c.value, c.share, c.err = v, share || err != nil, err
		close(c.done)
	})
	return c
}
