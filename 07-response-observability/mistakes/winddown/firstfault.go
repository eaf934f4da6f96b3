//go:build ignore

// It returns with the first list that has a fault, as one does elsewhere. What comes
// behind is never told to end: the workers are killed in the middle of their job.
//
//workshop:caught-by TestRun/goes_on_when_a_step_fails
//workshop:says what comes behind a failure has to be ended
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
	for _, steps := range [][]Step{p.Servers, p.Workers, p.Pools} {
		ctx, stop := context.WithTimeout(ctx, p.Within)
		errs := make([]error, len(steps))
		var running sync.WaitGroup
		for i, step := range steps {
			running.Go(func() { errs[i] = end(ctx, step) })
		}
		running.Wait()
		stop()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}
