//go:build ignore

// It lets the caller who began the call take it out of the map, when that one has its value.
// If that caller has hung up before, nobody does it: from then on everyone joins a call
// that is long over, and gets the menu of that evening for ever.
//
//workshop:caught-by TestDo/remembers_nothing_when_the_first_caller_has_left
//workshop:says it stays there for ever
package collapse

import "context"

func (g *Group[V]) Do(ctx context.Context, key string, fetch func(ctx context.Context) (v V, share bool, err error)) (v V, joined bool, err error) {
	if ctx.Err() != nil {
		return v, false, context.Cause(ctx)
	}
	g.mu.Lock()
	c, joined := g.calls[key]
	if !joined {
		c = g.startLocked(ctx, key, fetch)
	}
	c.waiting++
	g.mu.Unlock()

	select {
	case <-c.done:
	case <-ctx.Done():
		if g.leave(key, c, !joined) {
			return v, joined, context.Cause(ctx)
		}
	}
	if !joined {
		g.mu.Lock()
		g.removeLocked(key, c)
		g.mu.Unlock()
	}
	if joined && !c.share {
		return new(Group[V]).Do(ctx, key, fetch)
	}
	return c.value, joined, c.err
}

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
		c.value, c.share, c.err = v, share || err != nil, err
		if !c.share && !c.owned {
			c.cancel()
		}
		close(c.done)
	})
	return c
}
