//go:build ignore

// Where ctx ends during the notice, it returns. It was told to hurry, and not to leave all
// as it is: the server, the workers and the pools are never told to end.
//
//workshop:caught-by TestRun/when_its_context_ends_all_are_still_told
//workshop:says never happened
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
		return ctx.Err()
	}
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
