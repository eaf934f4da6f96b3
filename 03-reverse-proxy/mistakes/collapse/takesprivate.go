//go:build ignore

// When it is too late to leave, it takes the value, without a look at share. So who
// joined, and hangs up in the moment when the value comes, gets what is for another
// caller alone. It happens rarely, and then it is somebody else's bill.
//
//workshop:caught-by TestDo/gives_no_private_value_to_one_who_joined_and_leaves_as_it_comes
//workshop:says look at share in both cases
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
		return c.value, joined, c.err
	}
	if joined && !c.share {
		return new(Group[V]).Do(ctx, key, fetch)
	}
	return c.value, joined, c.err
}
