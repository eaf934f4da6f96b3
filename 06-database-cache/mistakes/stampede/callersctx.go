//go:build ignore

// The flight runs in the context of the caller who began it. When that one hangs up,
// the reload ends for the nine hundred who wait with it.
//
//workshop:caught-by TestDo/goes_on_when_the_first_caller_leaves
//workshop:says the reload must not run in the first one's context
package stampede

import "context"

func (g *Group[V]) Do(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	if v, ok := peek(); ok {
		return v, nil
	}
	flight := g.flights.DoChan(key, func() (any, error) { return g.lead(ctx, key, peek, reload) })
	select {
	case r := <-flight:
		v, _ = r.Val.(V)
		return v, r.Err
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}
