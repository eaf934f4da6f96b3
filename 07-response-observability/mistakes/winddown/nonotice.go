//go:build ignore

// It is not ready, and ends its servers at once. But the balancers have not asked again
// yet: what they send in the meantime meets a closed door.
//
//workshop:caught-by TestRun/serves_on_until_the_balancers_have_noticed
//workshop:says meets a closed door
package winddown

import (
	"context"
	"errors"
	"sync"
	"time"
)

func Run(ctx context.Context, p Plan) error {
	if p.NotReady == nil {
		p.NotReady = func() {}
	}
	if p.Within == 0 {
		p.Within = 5 * time.Second
	}
	p.NotReady()
	var faults []error
	for _, steps := range [][]Step{p.Servers, p.Workers, p.Pools} {
		ctx, stop := context.WithTimeout(ctx, p.Within)
		errs := make([]error, len(steps))
		var running sync.WaitGroup
		for i, step := range steps {
			running.Go(func() { errs[i] = end(ctx, step) })
		}
		running.Wait()
		stop()
		faults = append(faults, errs...)
	}
	return errors.Join(faults...)
}
