//go:build ignore

// It ends a phase only where that succeeded. A look-up that failed then seems to
// go on for as long as anyone cares to look: a failure ends its phase, too.
//
//workshop:caught-by TestPhases/ends_a_phase_that_failed
//workshop:says whatever its error
package timing

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"time"
)

func Trace(ctx context.Context) (context.Context, *Recorder) {
	r := &Recorder{start: time.Now()}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { r.note(func(now time.Time) { r.dns.begin = now }) },
		DNSDone: func(info httptrace.DNSDoneInfo) {
			if info.Err == nil {
				r.note(func(now time.Time) { r.dns.end = now })
			}
		},
		ConnectStart: func(_, _ string) {
			r.note(func(now time.Time) {
				if r.tcp.begin.IsZero() {
					r.tcp.begin = now
				}
			})
		},
		ConnectDone: func(_, _ string, err error) {
			r.note(func(now time.Time) {
				if !r.connected {
					r.tcp.end, r.connected = now, err == nil
				}
			})
		},
		TLSHandshakeStart: func() { r.note(func(now time.Time) { r.tls.begin = now }) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err != nil {
				return
			}
			r.note(func(now time.Time) { r.tls.end, r.resumed = now, state.DidResume })
		},
		GotConn: func(info httptrace.GotConnInfo) {
			r.note(func(now time.Time) { r.wait, r.reused = mark{begin: now}, info.Reused })
		},
		GotFirstResponseByte: func() { r.note(func(now time.Time) { r.wait.end = now }) },
	}), r
}
