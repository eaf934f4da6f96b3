// Package breaker stops calling what does not answer, and finds out when it does
// again: a circuit breaker.
//
// When a payment provider is down, each order waits for it until its time is over,
// holds a connection and memory meanwhile, and fails. Orders go on coming, and a
// fault of theirs becomes an outage of ours. And a provider that has just got up is
// run over by all who have waited. So after some failures in a row nobody calls any
// more: that costs nothing, and is answered at once. Now and then, one call tries.
// In the story, the chef whose supplier has not opened for the third time sends no
// more boys, and in half an hour, one.
//
//	         failures in a row             Config.Open is over
//	Closed ────────────────────► Open ─────────────────────────► HalfOpen
//	all calls  ◄──────────┐      no calls  ◄──────────┐          one call: the probe
//	                      └───────────────────────────┼─── it succeeds
//	                                                  └─── it fails
//
// When not to use it: where there are several backends, and another one can be asked
// (see package outlier), or where what fails is the one request, and not the callee.
// One breaker is for one callee.
//
// Source: M. Nygard, "Release It!" (2nd edition, 2018), "Circuit Breaker"; Envoy's
// and resilience4j's documentation, the latter for slow calls.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrOpen is the error of Do where call was not called.
var ErrOpen = errors.New("breaker: open")

// State is what a breaker does with calls.
type State string

// The states.
const (
	Closed   State = "closed"    // all calls are made
	Open     State = "open"      // none is
	HalfOpen State = "half-open" // one is, the probe, and its outcome decides
)

// Config says when a breaker opens, and for how long. The zero value is fine.
type Config struct {
	// Failures is how many failures in a row open it. 0 means 5; it must not be
	// negative.
	Failures int
	// Slow is how long a call may take: one that takes longer counts as a failure,
	// whatever it returns. 0 means 5 s; it must not be negative.
	Slow time.Duration
	// Open is how long no calls are made before the first probe, and between one
	// that fails and the next. 0 means 10 s; it must not be negative.
	Open time.Duration
	// Failed reports whether an error, which is not nil, is the callee's failure. A
	// declined payment is none: who declines is well. nil means that each error is.
	// It may be called by many goroutines at once.
	Failed func(err error) bool
	// OnChange, unless nil, is told of each change, one at a time and in order. It
	// must return soon, and call no method of the Breaker.
	OnChange func(from, to State)
	// Now is the clock. nil means time.Now. It may be called by many goroutines at
	// once.
	Now func() time.Time
}

// Breaker is between the callers and one callee. Its methods may be called by many
// goroutines at once. Make it with New. It has no goroutine, and need not be closed.
type Breaker struct {
	config Config // without zeros

	mu       sync.Mutex // guards what follows; never held while a call runs
	state    State
	term     int       // how often the state has changed so far
	changed  time.Time // when it did last
	failures int       // in a row, while Closed
	probing  bool      // whether a probe is under way, while HalfOpen
}

// New returns a breaker that is Closed. err names all faults of c at once.
func New(c Config) (*Breaker, error) {
	var faults []error
	if c.Failures < 0 {
		faults = append(faults, fmt.Errorf("breaker: Failures is %d, must not be negative", c.Failures))
	}
	if c.Slow < 0 {
		faults = append(faults, fmt.Errorf("breaker: Slow is %s, must not be negative", c.Slow))
	}
	if c.Open < 0 {
		faults = append(faults, fmt.Errorf("breaker: Open is %s, must not be negative", c.Open))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.Failures == 0 {
		c.Failures = 5
	}
	if c.Slow == 0 {
		c.Slow = 5 * time.Second
	}
	if c.Open == 0 {
		c.Open = 10 * time.Second
	}
	if c.Failed == nil {
		c.Failed = func(error) bool { return true }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Breaker{config: c, state: Closed}, nil
}

// State is the breaker's state. One that is Open stays so until the next call, even
// if its time is over.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Do calls call with ctx, in its own goroutine, and returns its error as it is. Or
// it does not call it, and returns ErrOpen at once: while the breaker is Open, and
// while it is HalfOpen and another call is the probe. Many calls run side by side.
//
// A call that panics, or that ends its goroutine (runtime.Goexit), has failed; both
// pass through. A call that does not return is not counted, and as a probe it keeps
// all others waiting: see to it that ctx has a deadline, or call has one.
func (b *Breaker) Do(ctx context.Context, call func(ctx context.Context) error) error {
	term, ok := b.enter()
	if !ok {
		return ErrOpen
	}
	begun := b.config.Now()
	result := failure // unless call returns
	defer func() { b.leave(term, result) }()
	err := call(ctx)
	result = b.judge(ctx, err, b.config.Now().Sub(begun))
	return err
}

// outcome is what a call says of the callee.
type outcome string

const (
	success outcome = "success"
	failure outcome = "failure"
	neither outcome = "neither" // nothing was found out
)

// judge is what a call says of the callee, which took so long and returned err.
//
// Longer than Config.Slow is a failure, whatever came of it: the caller may have
// left for that very reason. If it was faster, and the caller has cancelled ctx, an
// error is neither: nobody knows what the callee would have answered. That its
// deadline is over is not the same: then the callee was too slow. Any other error is
// what Config.Failed says of it, a failure or else a success, and no error a success.
func (b *Breaker) judge(ctx context.Context, err error, took time.Duration) outcome {
	//workshop:begin return neither
	//workshop:todo Four cases, in the order of the sentences above.
	switch {
	case took > b.config.Slow:
		return failure
	case err == nil:
		return success
	case errors.Is(ctx.Err(), context.Canceled):
		return neither // impatient customers would open it for all
	case b.config.Failed(err):
		return failure
	}
	return success
	//workshop:end
}

// enter decides whether a call may be made, and returns the term that it is made in,
// for leave.
//
// Closed: it may. Open: it may not, before Config.Open has passed since b.changed.
// After that, the breaker is HalfOpen, and this call is the probe. HalfOpen: it may
// if no probe is under way, and is the probe then.
func (b *Breaker) enter() (term int, ok bool) {
	//workshop:begin return 0, false
	//workshop:todo All of it under the lock, and with the lock given back: enter is called
	//workshop:todo before the call. setLocked changes the state. b.term is read after that.
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Open {
		if b.config.Now().Sub(b.changed) < b.config.Open {
			return 0, false
		}
		b.setLocked(HalfOpen)
	}
	if b.state == HalfOpen {
		if b.probing {
			return 0, false // all who have waited would come at once, and knock it over again
		}
		b.probing = true
	}
	return b.term, true
	//workshop:end
}

// leave takes into account what came of a call that was made in term.
//
// A call of an earlier term says nothing: it was made before the last change, and
// what it found out is known. Closed: a success clears b.failures, and a failure
// counts; with Config.Failures of them, the breaker is Open. HalfOpen: the probe is
// over. By a success, the breaker is Closed, and by a failure, Open again.
func (b *Breaker) leave(term int, result outcome) {
	//workshop:begin
	//workshop:todo Under the lock again: is it of this term? Then, by b.state and result, count, or
	//workshop:todo change the state (setLocked). A probe that found out nothing makes room for another.
	b.mu.Lock()
	defer b.mu.Unlock()
	if term != b.term {
		return // a call that hung since before it opened would close it, or open it for another while
	}
	b.probing = false // whatever came of it: without a result, the next call is the probe
	switch {
	case result == success && b.state == HalfOpen:
		b.setLocked(Closed)
	case result == success:
		b.failures = 0 // else five failures in a week would be "in a row"
	case result == failure:
		b.failures++
		if b.state == HalfOpen || b.failures >= b.config.Failures {
			b.setLocked(Open)
		}
	}
	//workshop:end
}

// setLocked changes the state. A new term begins, with nothing counted and no probe
// under way.
func (b *Breaker) setLocked(to State) {
	from := b.state
	b.state, b.changed, b.failures, b.probing = to, b.config.Now(), 0, false
	b.term++
	if b.config.OnChange != nil {
		b.config.OnChange(from, to)
	}
}
