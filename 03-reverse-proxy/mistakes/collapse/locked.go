//go:build ignore

// It holds the lock while it fetches. Then one slow origin stops the callers of all
// keys, and those who wait for the lock cannot leave: a mutex knows no context.
//
//workshop:caught-by TestDo/does_not_hold_up_another_key
//workshop:says a lock is held while fetch runs
package collapse

import "context"

func (g *Group[V]) Do(ctx context.Context, key string, fetch func(ctx context.Context) (v V, share bool, err error)) (v V, joined bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, _, err = fetch(ctx)
	return v, false, err
}
