//go:build ignore

// It sleeps through the notice. Who is told that time is up, ctx, has to wait for the
// end of it, and loses what the steps behind would have needed.
//
//workshop:caught-by TestRun/when_its_context_ends_all_are_still_told
//workshop:says the wait ends with ctx
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
	time.Sleep(p.Notice)
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
