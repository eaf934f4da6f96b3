// Package timing tells where a request's time went: to the name look-up, to
// TCP's handshake, to TLS's, to the server's work, or to the answer's journey.
// It is what browsers show as a waterfall, and what `workshop click` prints.
//
// It watches with net/http/httptrace: functions that travel in a request's
// context, and that net/http calls when something begins or ends. In the story,
// the guest looks at the watch: was it the way, the door, or the kitchen?
//
// Source: net/http/httptrace; RFC 8305 (Happy Eyeballs), for dials that race.
package timing

import (
	"context"
	"sync"
	"time"
)

// Span is a stretch of time within a request. The zero Span says that there was
// none: the phase did not take place, or has not begun.
type Span struct {
	Start    time.Duration // since the request's beginning, the call of Trace
	Duration time.Duration
}

// Phases is where the time of one request went. A phase that has begun and not
// ended counts up to now.
type Phases struct {
	// DNS is the name look-up. There is none for an address.
	DNS Span
	// TCP is the way to a connection: from the first attempt, over those that
	// failed, to the first that succeeded. If none did, to the end of the last.
	// Attempts that are abandoned after that count for nothing: nobody waited.
	TCP Span
	// TLS is the TLS handshake, without TCP's.
	TLS Span
	// Wait is from having a connection to the first byte of the answer: the
	// request's way there, the server's work, the first byte's way back.
	Wait Span
	// Transfer is from the first byte of the answer on: the rest of it.
	Transfer Span
	// Total is all of it, from Trace on. It is more than the sum of the phases.
	Total time.Duration

	// Reused says that the connection was there from an earlier request. DNS,
	// TCP and TLS are zero then: if a new connection was begun (a dial), the
	// request did not wait for it.
	Reused bool
	// Resumed says that TLS took up an earlier session, which saves it the
	// certificates. It is false on a connection that was reused.
	Resumed bool
}

// Recorder notes when the phases of one request begin and end. net/http calls
// it from several goroutines, and may do so when the request is long over.
type Recorder struct {
	start time.Time

	mu        sync.Mutex // guards what follows
	dns       mark
	tcp       mark
	connected bool // one of the attempts to connect has succeeded
	tls       mark
	wait      mark
	reused    bool
	resumed   bool
}

// mark is the two ends of a phase. A zero time has not come yet.
type mark struct{ begin, end time.Time }

// Trace returns a context for one request, made from ctx, and what records its
// phases. Hooks that ctx holds already are called, too. Where a client follows a redirect, the
// phases of both requests run together: to tell them apart, have CheckRedirect
// return http.ErrUseLastResponse, and trace the next request anew.
func Trace(ctx context.Context) (context.Context, *Recorder) {
	r := &Recorder{start: time.Now()}
	// TODO(timing): Return a context that holds hooks (httptrace.WithClientTrace). Each notes one
	// moment in r, by r.note. Which hook begins a phase, and which one ends it? The
	// comments in Phases say what counts. Two hooks know more: GotConn and TLSHandshakeDone.
	// The reference imports, besides what stands above: "crypto/tls", "net/http/httptrace".
	return ctx, r
}

// note runs f, which notes what happens now. One f runs at a time.
func (r *Recorder) note(f func(now time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(time.Now())
}

// Phases is how far the request has come. Call it once the answer's body has
// been read: no hook tells that, so Transfer and Total end with this call.
func (r *Recorder) Phases() Phases {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	span := func(m mark) Span {
		switch {
		case m.begin.IsZero():
			return Span{}
		case m.end.IsZero():
			m.end = now
		}
		return Span{Start: m.begin.Sub(r.start), Duration: m.end.Sub(m.begin)}
	}
	p := Phases{
		Wait:     span(r.wait),
		Transfer: span(mark{begin: r.wait.end}),
		Total:    now.Sub(r.start),
		Reused:   r.reused,
	}
	if !r.reused {
		// A dial may have been begun for a request that got a used connection
		// then, and goes on: nobody waits for it.
		p.DNS, p.TCP, p.TLS, p.Resumed = span(r.dns), span(r.tcp), span(r.tls), r.resumed
	}
	return p
}
