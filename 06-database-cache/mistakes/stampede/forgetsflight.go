//go:build ignore

// Whoever leaves has the flight forgotten, though it goes on. The next who asks begins
// another one beside it, and with a few impatient customers there are as many reloads
// as customers.
//
//workshop:caught-by TestDo/is_joined_although_the_first_caller_left
//workshop:says who leaves must not have it forgotten
package stampede

import "context"

func (g *Group[V]) Do(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	if v, ok := peek(); ok {
		return v, nil
	}
	flight := g.flights.DoChan(key, func() (any, error) {
		return g.fly(ctx, func(ctx context.Context) (V, error) { return g.lead(ctx, key, peek, reload) })
	})
	select {
	case r := <-flight:
		v, _ = r.Val.(V)
		return v, r.Err
	case <-ctx.Done():
		g.flights.Forget(key)
		return v, context.Cause(ctx)
	}
}
