// Package readiness answers the two questions that are put to a replica from
// outside, several times a second, for as long as it runs:
//
//	live?    Is the process past help? Whoever asks restarts it if so (a supervisor).
//	ready?   Shall it get requests? Whoever asks leaves it out if not (a balancer).
//
// They are about this replica alone. What all replicas share, the database first,
// is no reason for one of them to stand aside: it would be a reason for all, at the
// same moment, and the menu, which the cache still has, would be gone with them. A
// replica without its database is degraded: it says so, and does what it can.
//
//	Starting ─── Started ───► ready or degraded ─── Drain ───► Draining
//
// In the story, this is the waiter at the pass who is asked "Can you take a table?"
// An empty pantry is not his fault, and sending all waiters home would not fill it.
//
// Source: Kubernetes, "Liveness, Readiness and Startup Probes"; "Implementing health
// checks" (D. Yanacek, Amazon Builders' Library, 2019) for what happens when
// everybody's check asks the same database.
package readiness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Check looks at one thing that the replica needs.
type Check struct {
	Name string // a word for operators: "postgres"
	// Do returns nil if all is well, and returns when ctx has ended. It may be called
	// by several goroutines at once.
	Do func(ctx context.Context) error
}

// Config says what a replica needs.
type Config struct {
	// Own are checks of what this replica has for itself: its disk, its worker. Without
	// one of them it cannot serve, and another replica can.
	Own []Check
	// Shared are checks of what all replicas use: the database, the cache.
	Shared []Check
	// Timeout bounds all checks of one answer. 0 means half a second; negative is
	// refused. It has to be shorter than what the balancer waits.
	Timeout time.Duration
}

// Health is what a replica knows of itself. Make one with New. It may be used by
// many goroutines at once.
type Health struct {
	c       Config
	started atomic.Bool
	drained atomic.Bool
}

// New returns the Health of a replica that is starting. err names all faults of c.
func New(c Config) (*Health, error) {
	var faults []error
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("readiness: timeout %v is negative", c.Timeout))
	}
	names := map[string]bool{}
	for _, check := range append(append([]Check(nil), c.Own...), c.Shared...) {
		if check.Name == "" || check.Do == nil || names[check.Name] {
			faults = append(faults, fmt.Errorf("readiness: check %q: it needs a name of its own, and a function", check.Name))
		}
		names[check.Name] = true
	}
	if c.Timeout == 0 {
		c.Timeout = 500 * time.Millisecond
	}
	return &Health{c: c}, errors.Join(faults...)
}

// Started says that the replica has done what it does at first: from here on it
// may be ready. Drain says that it is about to end: it is never ready again,
// whatever comes later. Both may be called more than once.
func (h *Health) Started() { h.started.Store(true) }

// Drain is described at Started.
func (h *Health) Drain() { h.drained.Store(true) }

// Status is what Ready answers in its body.
type Status string

// What a replica may be.
const (
	Starting Status = "starting"  // 503: Started was not called yet
	Draining Status = "draining"  // 503: Drain was called
	NotReady Status = "not ready" // 503: one of its Own checks failed
	Degraded Status = "degraded"  // 200: one of the Shared checks failed
	Ready    Status = "ready"     // 200
)

// Live answers whether the process is past help: 200 and "live" as plain text, as
// long as it can answer at all. It asks no check. A supervisor that gets another
// answer, or none, kills the replica, and a database is not healed by restarting
// everybody who waits for it.
func (h *Health) Live(w http.ResponseWriter, r *http.Request) {
	//workshop:begin
	//workshop:todo Answer with plainText.
	plainText(w, "live")
	//workshop:end
}

// Ready answers whether the replica shall get requests, by the list at Status: its
// status code, and the body that answer writes. Of the states, Draining comes
// first, then Starting, NotReady, and Degraded.
//
// The body names the checks that failed, those of Own first. While it is Starting
// or Draining no check is made. Otherwise all are, each once, and anew for each answer:
// what has passed again is well again. Their context is the request's, and ends after
// Config.Timeout, or with the answer if that comes first.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	//workshop:begin
	//workshop:todo Draining? Starting? Then answer at once. Otherwise make all checks (h.look), in a
	//workshop:todo context that ends after h.c.Timeout, and answer by what failed.
	switch {
	case h.drained.Load(): // before Starting: who is told to end while it starts is not to be waited for
		answer(w, http.StatusServiceUnavailable, Draining)
		return
	case !h.started.Load():
		answer(w, http.StatusServiceUnavailable, Starting)
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), h.c.Timeout) // a check that hangs would look like a replica that is dead
	defer stop()
	own, shared := h.look(ctx)
	switch {
	case len(own) > 0:
		answer(w, http.StatusServiceUnavailable, NotReady, append(own, shared...)...)
	case len(shared) > 0: // with 503, all replicas would leave at once
		answer(w, http.StatusOK, Degraded, shared...)
	default:
		answer(w, http.StatusOK, Ready)
	}
	//workshop:end
}

// look makes all checks, side by side, and returns the names of those that failed.
// A check that has not returned when ctx ends has failed, and is not waited for.
func (h *Health) look(ctx context.Context) (own, shared []string) {
	begin := func(checks []Check) []chan bool {
		well := make([]chan bool, len(checks))
		for i, check := range checks {
			well[i] = make(chan bool, 1)
			go func() { well[i] <- check.Do(ctx) == nil }() // ends with ctx, as Check demands
		}
		return well
	}
	passed := func(well chan bool) bool {
		select {
		case ok := <-well:
			return ok
		case <-ctx.Done():
		}
		select { // it may have passed long ago, while another one hung: select takes either
		case ok := <-well:
			return ok
		default:
			return false
		}
	}
	failed := func(checks []Check, well []chan bool) (names []string) {
		for i, check := range checks {
			if !passed(well[i]) {
				names = append(names, check.Name)
			}
		}
		return names
	}
	ownWell, sharedWell := begin(h.c.Own), begin(h.c.Shared)
	return failed(h.c.Own, ownWell), failed(h.c.Shared, sharedWell)
}

// answer writes {"status": "degraded", "failed": ["postgres"]}. Why a check failed
// is for the log, and nobody keeps the answer.
func answer(w http.ResponseWriter, code int, s Status, failed ...string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(struct {
		Status Status   `json:"status"`
		Failed []string `json:"failed,omitempty"`
	}{s, failed})
}

// plainText answers 200 with text.
func plainText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintln(w, text)
}
