// Package collapse makes one fetch for all who ask for the same at the same time.
//
// A page of the cache expires, and within the same second a thousand customers
// ask for it. None of them finds it in the cache, so each asks the origin: that
// is a stampede, and it comes just when the page is wanted most. In the story,
// the gatekeeper sends one boy to the kitchen, and the others wait at the door
// for what he brings.
//
// When not to use it: for what differs from caller to caller. An answer that
// turns out to be for one alone has cost all others the time that they waited.
//
// Source: RFC 9111 §4 (collapsing requests); RFC 9211 §2.6 (how it is told).
package collapse

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group makes one fetch for all who ask for the same key at the same time. The
// zero value is ready. It may be used by many goroutines at once, and must not be
// copied after first use.
type Group[V any] struct {
	mu    sync.Mutex          // guards calls and what it says in call; never held while a fetch runs
	calls map[string]*call[V] // nil, or the call that a newcomer joins, by key
}

// call is one run of a fetch, for those who wait for it.
type call[V any] struct {
	cancel context.CancelFunc // ends fetch's context

	waiting int  // how many wait for it; Group.mu guards it
	owned   bool // the caller who began it is one of them; Group.mu guards it

	done  chan struct{} // closed when fetch is over and what follows is set, which then stays
	value V
	share bool
	err   error
}

// PanicError is what a fetch that panicked comes to, for all who wait for it.
type PanicError struct {
	Value any    // what fetch called panic with
	Stack []byte // where, as debug.Stack tells it
}

// Error has the stack in it. It is for a log, not for a client.
func (e *PanicError) Error() string {
	return fmt.Sprintf("collapse: fetch panicked: %v\n%s", e.Value, e.Stack)
}

// Unwrap is the panic's value where that is an error, such as
// http.ErrAbortHandler, and otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Do returns what fetch comes to, for key. Whoever asks for a key for which a
// fetch is under way joins that call, and gets its value; fetch is then not
// used. joined reports that what Do returns came from another caller's fetch; for
// a caller who leaves it says nothing. What is over is not remembered: the next
// caller fetches anew. Keys are independent.
//
// When ctx ends before fetch has returned, the caller leaves at once, with
// context.Cause(ctx) and a zero value; nobody else notices. Where both happen at
// the same moment, the caller has left, or it goes on as if ctx had not ended, and
// gets what is meant for it: one of the two, in all that follows. If ctx has ended
// before Do is called, nothing is fetched for it.
//
// fetch runs in a goroutine of its own. Its context has the values of the ctx of
// the caller whose call it is, the one who began it, but neither its end nor its
// deadline. That context ends when the value goes to nobody:
//   - when the last of those who wait leaves, before fetch has returned. From
//     then on nobody joins that call, however long its fetch takes to return;
//   - when fetch has returned a value that may not be shared, and the caller
//     whose call it was has left. So whatever a value holds open, such as a body
//     that is still arriving, must end with that context by itself.
//
// Once somebody has the value, that context does not end any more: the rest of
// the body comes under it, and to end that is up to fetch, and to that caller.
//
// share false says that the value is for the caller whose call it was, and for
// no other. The others who waited then make a fetch each, with their own fetch
// and ctx, side by side, and joined is false for them. Nobody joins those:
// whoever comes meanwhile begins a call for others to join, as if nothing were
// under way. An error goes to all who wait, whatever share says: if the origin
// is down, each would only find that out for itself. Nothing comes with an error
// that would have to be closed, so whether fetch's context ends then is not said.
//
// A fetch that panics comes to a *PanicError, and one that calls runtime.Goexit
// to an error. Where nobody waits any more, that is lost.
func (g *Group[V]) Do(ctx context.Context, key string, fetch func(ctx context.Context) (v V, share bool, err error)) (v V, joined bool, err error) {
	// TODO(collapse): Under the lock, look for a call to join. If there is none, make one, and "go settle(…)"
	// in a context made by context.WithoutCancel and context.WithCancel; what settle
	// calls in the end removes the call (removeLocked), sets its fields and closes done,
	// under the lock. Count yourself in (waiting), and unlock. Then wait for done, or for
	// the end of ctx: leave says whether you have left, or it was too late for that.
	// Whom the value is not for asks alone: in a new Group.
	return v, false, nil
}

// leave takes a caller out of those who wait for c, and ends the fetch if that was
// the last of them. owner says that the caller is the one who began c. It reports
// false, and has done nothing, where it is too late: fetch is over, and this caller
// was still counted as one who waits. g.mu must not be held.
func (g *Group[V]) leave(key string, c *call[V], owner bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-c.done:
		return false
	default:
	}
	c.waiting--
	c.owned = c.owned && !owner
	if c.waiting == 0 {
		c.cancel()
		g.removeLocked(key, c) // or the next caller would join a fetch that is being ended
	}
	return true
}

// removeLocked makes c a call that nobody joins any more. In its place may be a
// newer one, if all had left this one: that stays.
func (g *Group[V]) removeLocked(key string, c *call[V]) {
	if g.calls[key] == c {
		delete(g.calls, key)
	}
}

// settle calls fetch, and then end with what it came to, once, even if fetch
// panics or calls runtime.Goexit. Without that, those who wait would wait for
// ever.
func settle[V any](ctx context.Context, fetch func(context.Context) (V, bool, error), end func(v V, share bool, err error)) {
	var v V
	share, err := false, error(nil)
	returned := false
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{p, debug.Stack()}
		} else if !returned {
			err = errors.New("collapse: fetch ended its goroutine (runtime.Goexit)")
		}
		end(v, share, err)
	}()
	v, share, err = fetch(ctx)
	returned = true
}
