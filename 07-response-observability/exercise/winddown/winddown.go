// Package winddown ends a process so that nobody notices. A replica is told to end
// at each release, several times a day, while requests are running, and the way it
// ends decides whether that costs anybody an answer.
//
//	not ready → wait → drain → stop workers → close pools
//
// Each step has its place for a reason. First readiness says that the replica is
// about to end, and it goes on serving: the balancers learn of it with their next
// check only, and until then they send requests. Then the servers take no new
// connections, and finish what runs. The workers are next, since a request may
// still have given them something to do. The pools are last: all before need them.
//
// In the story, this is the end of the evening: the sign is turned round while the
// kitchen still cooks, the guests inside finish their meal, then the dishes are
// done, and whoever turns off the light does so last.
//
// Source: Kubernetes, "Termination of Pods"; RFC 9113 §6.8 for the same in one
// connection (GOAWAY, wait, close).
package winddown

import (
	"context"
	"fmt"
	"time"
)

// Step is one thing to end.
type Step struct {
	Name string
	// Do ends it, and returns when it has ended. Where ctx ends before, Do cuts what
	// still runs and returns soon; its error says that it was cut.
	Do func(ctx context.Context) error
}

// Plan is what a process has to end. Whatever is nil or empty is left out.
type Plan struct {
	// NotReady turns readiness off, as (*readiness.Health).Drain does.
	NotReady func()
	// Notice is how long the balancers take to see it: the time between two of their
	// checks, times how many it takes, and one answer's time. Run waits for it whatever
	// else the Plan holds.
	Notice time.Duration
	// Servers finish what runs, Workers what they were given, and Pools close.
	Servers, Workers, Pools []Step
	// Within bounds each of these three, and not all of them together. 0 means 5
	// seconds. It bounds neither NotReady nor Notice.
	Within time.Duration
}

// Run carries out p, and returns when all of it is over: NotReady, Notice,
// Servers, Workers, Pools. The Steps of one list run side by side; the next list
// begins once all of them have returned.
//
// The context of a list's Steps ends after Within, or with ctx, or when all of them
// have returned; not because one of them failed. A Step that has not returned after
// Within, or when ctx has ended, is not waited for: it is no longer anybody's, which
// is acceptable because the process is about to end. Nothing is left out because
// something before it failed, or because ctx has ended, even before Run was called:
// then Notice is cut short, and what comes behind is still told to end, if only to cut.
//
// The error joins those of all Steps, and no other, each with its Step's name in front
// ("winddown: http: …") and wrapped. A Step that was not waited for counts as one
// that returned its context's error.
func Run(ctx context.Context, p Plan) error {
	if p.NotReady == nil {
		p.NotReady = func() {}
	}
	if p.Within == 0 {
		p.Within = 5 * time.Second
	}
	// TODO(winddown): NotReady; Notice, or until ctx ends; then one list after the other. The function
	// end, below, ends a single Step. A list's Steps run side by side, so take care of
	// where their errors go.
	// The reference imports, besides what stands above: "errors", "sync".
	return nil
}

// end ends s, and returns its error with its name in front, or nil. It returns
// when ctx has ended, at the latest, and gives s a moment to return then.
func end(ctx context.Context, s Step) error {
	const moment = 100 * time.Millisecond // to cut what runs
	done := make(chan error, 1)
	go func() { done <- s.Do(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(moment):
			err = fmt.Errorf("it goes on: %w", ctx.Err())
		}
	}
	if err != nil {
		return fmt.Errorf("winddown: %s: %w", s.Name, err)
	}
	return nil
}
