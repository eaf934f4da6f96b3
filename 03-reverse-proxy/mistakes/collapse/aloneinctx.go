//go:build ignore

// It makes the fetch for one caller alone under that caller's own context, since nobody else
// waits for it. But a context ends when its handler returns, and the body may be read after
// that, as by a cache that goes on to store it.
//
//workshop:caught-by TestDo/does_not_end_the_context_of_what_one_fetched_alone
//workshop:says a context of its own like any other
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
	if joined && !c.share {
		alone := &call[V]{done: make(chan struct{})}
		go settle(ctx, fetch, func(v V, share bool, err error) {
			alone.value, alone.err = v, err
			close(alone.done)
		})
		select {
		case <-alone.done:
			return alone.value, false, alone.err
		case <-ctx.Done():
			return v, false, context.Cause(ctx)
		}
	}
	return c.value, joined, c.err
}
