//go:build ignore

// It has a map of flights of its own, and takes a flight out when it has brought a
// value. One that failed stays in the map: whoever asks afterwards joins it, and gets
// that failure again, for as long as the process runs.
//
//workshop:caught-by TestDo/does_not_share_a_failure_for_ever
//workshop:says A flight that is over must not be joined
package stampede

import (
	"context"
	"sync"
)

var flights sync.Map

type flight struct {
	done chan struct{}
	v    any
	err  error
}

func (g *Group[V]) Do(ctx context.Context, key string, peek func() (v V, ok bool), reload func(ctx context.Context) (V, error)) (v V, err error) {
	if v, ok := peek(); ok {
		return v, nil
	}
	name := [2]any{g, key}
	there, joined := flights.LoadOrStore(name, &flight{done: make(chan struct{})})
	f := there.(*flight)
	if !joined {
		go func() {
			defer close(f.done)
			f.v, f.err = g.fly(ctx, func(ctx context.Context) (V, error) { return g.lead(ctx, key, peek, reload) })
			if f.err != nil {
				return
			}
			flights.Delete(name)
		}()
	}
	select {
	case <-f.done:
		v, _ = f.v.(V)
		return v, f.err
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}
