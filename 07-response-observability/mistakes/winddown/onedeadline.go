//go:build ignore

// It has one deadline for all lists together. A single slow request uses it up, and the
// workers and the pools are cut for it.
//
//workshop:caught-by TestRun/gives_each_list_a_deadline_of_its_own
//workshop:says one deadline for all would cut it
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
	ctx, stop := context.WithTimeout(ctx, p.Within)
	defer stop()
	var faults []error
	for _, steps := range [][]Step{p.Servers, p.Workers, p.Pools} {
		errs := make([]error, len(steps))
		var running sync.WaitGroup
		for i, step := range steps {
			running.Go(func() { errs[i] = end(ctx, step) })
		}
		running.Wait()
		faults = append(faults, errs...)
	}
	return errors.Join(faults...)
}
