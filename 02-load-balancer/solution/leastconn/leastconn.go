// Package leastconn sends a request to the less busy of two backends drawn at
// random, and counts how busy they are. It is known as the power of two
// choices.
//
// Why not the least busy of all? To find it costs a look at each for every
// request, and where several balancers serve the same pool, all of them find
// the same one at the same moment and rush at it. One random backend, on the
// other hand, is too busy now and then. Two, compared, are nearly as good as
// all. Where requests cost about the same and backends are alike, roundrobin
// does as well, with less.
//
// In the story, the traffic cop looks into two kitchens, and the order goes
// where fewer pots are on the stove.
//
// Source: Mitzenmacher, "The Power of Two Choices in Randomized Load
// Balancing" (1996, IEEE TPDS 2001); it is Envoy's LEAST_REQUEST and nginx's
// "random two least_conn".
package leastconn

import (
	"math/rand/v2"
	"net/http"

	"clicktocode.example/02-load-balancer/balancer"
)

// LeastConn is a balancer.Picker. Make one with New.
type LeastConn struct {
	rand func(n int) int
}

var _ balancer.Picker = (*LeastConn)(nil)

// New returns a LeastConn that draws by rand: a number from 0 to n-1, each as
// likely, for any n above 0, and for many goroutines at once. With nil it draws
// by math/rand/v2's IntN.
func New(random func(n int) int) *LeastConn {
	if random == nil {
		random = rand.IntN
	}
	return &LeastConn{rand: random}
}

// Pick draws two different backends of pool that are available, and returns
// the less busy one. That is the one with less load: requests under way, this
// one included, for each unit of its weight, (Active() + 1) / Weight(). Where
// both have the same, it is a matter of chance.
//
// If only one is available, that is it; if none is, Pick returns nil. The key
// makes no difference. Pick counts nothing: the RoundTripper that Count returns
// does.
//
// Pick allocates nothing, and costs the same however large pool is, unless most
// of it is not available.
func (l *LeastConn) Pick(pool []*balancer.Backend, _ string) *balancer.Backend {
	//workshop:begin return nil
	//workshop:todo Draw one backend (l.draw), and another one. Return the one with less load.
	//workshop:todo There may be only one, or none.
	one := l.draw(pool, nil)
	two := l.draw(pool, one) // drawn twice, the same one wins against itself, busy as it may be
	if two != nil && load(two) < load(one) {
		return two
	}
	return one
	//workshop:end
}

// load is how busy b will be with one request more. As integers, 19 requests at
// weight 10 would be as much as 10.
//
//workshop:omit
func load(b *balancer.Backend) float64 {
	return float64(b.Active()+1) / float64(b.Weight())
}

// draw returns a random backend of pool that is available, and is not other,
// which may be nil; nil if there is none.
func (l *LeastConn) draw(pool []*balancer.Backend, other *balancer.Backend) *balancer.Backend {
	if len(pool) == 0 {
		return nil
	}
	at := 0
	for range 8 { // mostly the first one will do
		at = l.rand(len(pool))
		if b := pool[at]; b.Available() && b != other {
			return b
		}
	}
	// Few are left, so take the next one from there on. To draw again and again
	// might never end.
	for i := range pool {
		if b := pool[(at+i)%len(pool)]; b.Available() && b != other {
			return b
		}
	}
	return nil
}

// Count returns a RoundTripper that sends by next, and keeps b's count of the
// requests under way: one more from before a request is sent until it is over,
// once, in whatever way that comes about. It is over
//
//   - when next returns an error, or panics (the panic goes on);
//   - else when the answer's body is: read to its end, broken off by an error
//     (of the connection, or of a request that was cancelled), or closed,
//     whichever comes first. Package net/http demands that it is closed;
//   - at once, if the answer has no body.
//
// The answer and the error are next's own, but for the body, which is wrapped.
// After 101 Switching Protocols, the body remains an io.Writer.
func Count(next http.RoundTripper, b *balancer.Backend) http.RoundTripper {
	return &counted{next: next, backend: b}
}

type counted struct {
	next    http.RoundTripper
	backend *balancer.Backend
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	//workshop:begin return c.next.RoundTrip(req)
	//workshop:todo Count the request: Begin before it is sent, and one End when it is over. Which
	//workshop:todo ways out are there? For a body, watch calls you back.
	c.backend.Begin()
	answered := false
	defer func() {
		if !answered { // failed, or panicked: what is never counted down looks busy for ever, and gets no work
			c.backend.End()
		}
	}()
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	answered = true
	// What has come is the header. A backend that streams a film to a thousand
	// guests is not idle.
	resp.Body = watch(resp.Body, c.backend.End)
	return resp, nil
	//workshop:end
}
