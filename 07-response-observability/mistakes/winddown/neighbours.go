//go:build ignore

// The first Step that fails ends the context of the whole list, as errgroup does it. The
// listener for operators could not be closed, and for that the customers' requests are cut.
//
//workshop:caught-by TestRun/a_failure_does_not_cut_its_neighbours
//workshop:says does not end the others' context
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
	for _, steps := range [][]Step{p.Servers, p.Workers, p.Pools} {
		ctx, stop := context.WithTimeout(ctx, p.Within)
		errs := make([]error, len(steps))
		var running sync.WaitGroup
		for i, step := range steps {
			running.Go(func() {
				if errs[i] = end(ctx, step); errs[i] != nil {
					stop()
				}
			})
		}
		running.Wait()
		stop()
		faults = append(faults, errs...)
	}
	return errors.Join(faults...)
}
