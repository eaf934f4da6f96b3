//go:build ignore

// It calls fetch in a goroutine, and what is to be done when that is over stands behind the
// call. When fetch panics, that is never reached, and nothing recovers: in its own
// goroutine, a panic in one handler ends the whole program.
//
//workshop:caught-by TestDo/does_not_wait_for_a_fetch_that_ended_its_goroutine
//workshop:says never reached then, nor after a panic
package collapse

import "context"

func (g *Group[V]) startLocked(ctx context.Context, key string, fetch func(context.Context) (V, bool, error)) *call[V] {
	c := &call[V]{owned: true, done: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if g.calls == nil {
		g.calls = map[string]*call[V]{}
	}
	g.calls[key] = c
	go func() {
		v, share, err := fetch(ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.removeLocked(key, c)
		c.value, c.share, c.err = v, share || err != nil, err
		if !c.share && !c.owned {
			c.cancel()
		}
		close(c.done)
	}()
	return c
}
