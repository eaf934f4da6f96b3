// Package drain lets a backend go without hanging up on anyone: it gets no new
// request, and those that are with it come to their end.
//
// Backends leave all the time, mostly to come back as a newer version. One that
// is just stopped takes along what runs, and some of that cannot be repeated: an
// order that is being charged. So the load balancer, which knows what it has
// sent, lets go first. In the story, a kitchen closes for the night: the waiters
// bring no more orders, and nobody turns off the gas before the last plate is
// out.
//
// What counts is requests, not connections. The balancer keeps connections open
// for later requests, and a backend is idle with a hundred of them.
//
// It knows nothing of requests that came another way, from another balancer or
// from the backend's own admin, so the backend should end gracefully all the
// same (chapter 1, package graceful).
//
// Source: HAProxy's management guide, "set server <b>/<s> state drain"; Envoy's
// documentation, "Draining"; Kubernetes, "Pod termination".
package drain

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"clicktocode.example/02-load-balancer/balancer"
)

// ErrDraining says that a request was not sent, since its backend takes none
// any more. Nothing of it has left this process, so it may go elsewhere,
// whatever it is.
var ErrDraining = errors.New("drain: the backend takes no new requests")

// Backend is the part of *balancer.Backend that Drain needs. Its methods are
// explained there.
type Backend interface {
	Name() string
	SetDraining(draining bool) (changed bool)
	Active() int64
	NotifyIdle(c chan<- struct{}) (stop func())
}

var _ Backend = (*balancer.Backend)(nil)

// Drain notes that b is to get no new requests, and waits until those that are
// with it are over. It returns nil at the very moment when the last one is, or
// at once when there is none.
//
// If ctx is done before, Drain returns ctx's error, wrapped, and how many
// requests were left. These go on: whether to cut them is up to the caller. In
// either case b stays draining, until someone calls b.SetDraining(false).
//
// Drain may be called again, also at the same time: each call waits. It starts
// no goroutine.
func Drain(ctx context.Context, b Backend) error {
	//workshop:begin return nil
	//workshop:todo Note that b is draining. Then wait until b.Active() is 0, or ctx is done.
	//workshop:todo b.NotifyIdle tells you when to look again. Ask it to before you look
	//workshop:todo for the first time, and call stop in the end.
	b.SetDraining(true) // before the wait: on a busy backend there is always one request more
	idle := make(chan struct{}, 1)
	// Before the look at Active: an End that came between the two would be told
	// to nobody, and the wait would last for ever.
	defer b.NotifyIdle(idle)()
	for b.Active() > 0 { // not "if": what idle tells may be over again, or of long ago
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("drain: %s has %d requests left: %w", b.Name(), b.Active(), ctx.Err())
		}
	}
	return nil
	//workshop:end
}

// Refuse returns a RoundTripper that sends by next, and refuses once b is
// draining.
//
// A backend may begin to drain just after a Picker has returned it. Such a
// request is either seen by Drain, which waits for it, or refused here. To make
// sure that it is one of the two, a request must be counted first (b.Begin) and
// looked at then: what counts goes outside, as in leastconn.Count(Refuse(…), b).
func Refuse(next http.RoundTripper, b *balancer.Backend) http.RoundTripper {
	return &refusing{next, b}
}

type refusing struct {
	next    http.RoundTripper
	backend *balancer.Backend
}

// RoundTrip sends req by next. If the backend is draining, it sends nothing and
// returns an error that wraps ErrDraining and names the backend. As every
// RoundTripper, it has closed req.Body then. Whether the backend is down or
// ejected makes no difference: whoever picked it all the same had a reason.
func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	//workshop:begin return r.next.RoundTrip(req)
	//workshop:todo If the backend's State is "draining", close the body, if there is one, and
	//workshop:todo return ErrDraining with the backend's name.
	if r.backend.State() == "draining" {
		if req.Body != nil {
			_ = req.Body.Close() // whoever writes into it would wait for ever for someone who reads
		}
		return nil, fmt.Errorf("%w: %s", ErrDraining, r.backend.Name())
	}
	return r.next.RoundTrip(req)
	//workshop:end
}
