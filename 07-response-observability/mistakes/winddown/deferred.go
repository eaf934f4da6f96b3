//go:build ignore

// It defers the end of each list's context. A defer runs at the end of the function, and not
// of the loop's turn: while the pools are being closed, the servers' time has not ended.
//
//workshop:caught-by TestRun/leaves_no_context_behind
//workshop:says A defer waits for the end of Run
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
		defer stop()
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
