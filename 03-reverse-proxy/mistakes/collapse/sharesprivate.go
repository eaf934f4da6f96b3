//go:build ignore

// It gives the value to all who wait, and does not look at share. What the origin
// made for the first caller, such as a page with a name or a bill on it, is shown to
// strangers who asked in the same moment.
//
//workshop:caught-by TestDo/gives_a_private_value_to_nobody_else
//workshop:says who joined, must not see that
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
	return c.value, joined, c.err
}
