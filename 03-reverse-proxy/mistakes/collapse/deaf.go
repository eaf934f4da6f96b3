//go:build ignore

// It waits for the one fetch, whatever becomes of its own caller. A client that has
// hung up keeps its goroutine and its memory until a slow origin answers, if ever.
//
//workshop:caught-by TestDo/lets_one_who_joined_leave_at_once
//workshop:says of its own ctx, whichever comes first
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

	if joined {
		<-c.done
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if g.leave(key, c, !joined) {
			return v, joined, context.Cause(ctx)
		}
	}
	if joined && !c.share {
		return new(Group[V]).Do(ctx, key, fetch)
	}
	return c.value, joined, c.err
}
