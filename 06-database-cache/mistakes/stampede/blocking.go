//go:build ignore

// It waits in singleflight's Do, which knows no context. Whoever hangs up stays in
// the queue until the reload is over, and holds memory and a connection meanwhile.
//
//workshop:caught-by TestDo/lets_a_caller_leave_at_once
//workshop:says Wait in a select, for DoChan's channel or for ctx
package stampede

import "context"

func (g *Group[V]) Do(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	if v, ok := peek(); ok {
		return v, nil
	}
	got, err, _ := g.flights.Do(key, func() (any, error) {
		return g.fly(ctx, func(ctx context.Context) (V, error) { return g.lead(ctx, key, peek, reload) })
	})
	v, _ = got.(V)
	return v, err
}
