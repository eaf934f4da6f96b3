//go:build ignore

// It closes the pools first, because that is what comes to mind when something is to be
// closed. The requests that still run need them: they fail at their very end.
//
//workshop:caught-by TestRun/ends_servers_then_workers_then_pools
//workshop:says fails them at their very end
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
	notice := time.NewTimer(p.Notice)
	defer notice.Stop()
	select {
	case <-notice.C:
	case <-ctx.Done():
	}
	var faults []error
	for _, steps := range [][]Step{p.Pools, p.Servers, p.Workers} {
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
