//go:build ignore

// Whom a value is not for goes into the same group again. There one of them fetches,
// and the others wait, only to learn that this value is not for them either: a
// thousand callers of what cannot be shared are served one after another.
//
//workshop:caught-by TestDo/lets_the_others_fetch_side_by_side
//workshop:says the last waits ten times as long
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
		return g.Do(ctx, key, fetch)
	}
	return c.value, joined, c.err
}
