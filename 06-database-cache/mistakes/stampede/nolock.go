//go:build ignore

// It makes one reload for all callers of this process, and takes no lock. With one
// replica that is enough. With thirty, the database gets thirty queries at once.
//
//workshop:caught-by TestLock/is_taken_for_a_reload
//workshop:says each replica makes a reload of its own
package stampede

import "context"

func (g *Group[V]) lead(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	return g.call(ctx, reload)
}
