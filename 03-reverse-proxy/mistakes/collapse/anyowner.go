//go:build ignore

// It says of whoever leaves that the call was theirs. When one leaves who had only
// joined, a private value counts as nobody's, and its context is ended: the caller
// for whom it is gets a body that breaks off.
//
//workshop:caught-by TestDo/keeps_a_private_value_for_its_caller_when_another_leaves
//workshop:says it was not a who left
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
		if g.leave(key, c, true) {
			return v, joined, context.Cause(ctx)
		}
	}
	if joined && !c.share {
		return new(Group[V]).Do(ctx, key, fetch)
	}
	return c.value, joined, c.err
}
