//go:build ignore

// It returns an error as soon as its caller's context ends, and does not look whether
// that was in time. If fetch was over by then, this caller was counted as the one
// who gets the value. Now nobody has it, and what it holds open is never closed.
//
//workshop:caught-by TestDo/loses_no_value_that_comes_as_its_caller_leaves
//workshop:says leave reports false where it is too late
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
		g.leave(key, c, !joined)
		return v, joined, context.Cause(ctx)
	}
	if joined && !c.share {
		return new(Group[V]).Do(ctx, key, fetch)
	}
	return c.value, joined, c.err
}
