//go:build ignore

// It ends one Step after the other. Two servers of which each takes its time take both
// their times, and the second one's share of the deadline is what the first has left.
//
//workshop:caught-by TestRun/ends_those_of_one_list_side_by_side
//workshop:says do not wait for one another
package winddown

import (
	"context"
	"errors"
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
		for _, step := range steps {
			faults = append(faults, end(ctx, step))
		}
		stop()
	}
	return errors.Join(faults...)
}
