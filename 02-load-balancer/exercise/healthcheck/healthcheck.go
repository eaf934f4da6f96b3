// Package healthcheck decides, from what active checks of a backend found,
// whether the backend is up.
//
// One answer is not enough to tell. Packets get lost, a process pauses to
// collect its garbage, and a backend that is taken out hands its load to the
// others, which may be too much for them. So it takes several results in a row
// to change an opinion, in either direction. In the story, a waiter looks into
// the kitchen: one burnt pan does not close it, and one good plate does not
// open it again.
//
// The trade-off is time. A dead backend gets requests until it has failed
// `fall` checks: three, at one every two seconds, are up to six seconds. What
// happens meanwhile is the business of retry and outlier, which watch the
// requests themselves.
//
// Source: HAProxy's configuration manual, "rise" and "fall"; Envoy calls them
// healthy_threshold and unhealthy_threshold, Kubernetes successThreshold and
// failureThreshold.
package healthcheck

import "sync"

// Tracker is the opinion on one backend. Its methods may be called by many
// goroutines at once. Make one with New.
type Tracker struct {
	rise, fall int // at least 1

	mu      sync.Mutex // guards what follows
	up      bool
	against int // how many results in a row, up to the last one, spoke against up
}

// New returns a tracker of a backend that is up, or not, before its first
// check. It goes down after fall failures in a row, and comes up after rise
// successes in a row; below 1, they count as 1.
//
// Whichever it begins with, the first check does not settle it alone. Begun up,
// a backend that is not there gets requests until it has failed fall times;
// begun down, one that is well gets none until it has succeeded rise times.
func New(rise, fall int, up bool) *Tracker {
	return &Tracker{rise: max(1, rise), fall: max(1, fall), up: up}
}

// Observe takes the result of one check into account: nil when the backend
// answered as it should, and otherwise what went wrong. Every error is a
// failure, also a timeout: who does not answer the check in time does not
// answer a customer either. (A check that was called off before its time found
// out nothing; do not report it.)
//
// It returns whether the backend is up now, and whether this result changed
// that. A result that agrees with the opinion clears all that spoke against it,
// and after a change counting starts anew.
func (t *Tracker) Observe(err error) (up, changed bool) {
	// TODO(healthcheck): Under the lock: a result that agrees with t.up clears
	// t.against. One that does not counts. When there are enough in a row,
	// t.fall or t.rise, t.up changes sides and counting starts anew.
	return false, false
}

// Up reports whether the backend is up, by all that was observed so far.
func (t *Tracker) Up() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.up
}
