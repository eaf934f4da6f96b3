//go:build ignore

// Every ConnectDone moves the end of the phase. But a dialer tries addresses
// side by side and takes the first that answers; when the others report back,
// the request is long under way, and TCP seems to reach into TLS.
//
//workshop:caught-by TestPhases/leaves_out_attempts_that_lost_the_race
//workshop:says kept nobody waiting
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
		DNSDone:  func(httptrace.DNSDoneInfo) { r.note(func(now time.Time) { r.dns.end = now }) },
		ConnectStart: func(_, _ string) {
			r.note(func(now time.Time) {
				if r.tcp.begin.IsZero() {
					r.tcp.begin = now
				}
			})
		},
		ConnectDone:       func(_, _ string, _ error) { r.note(func(now time.Time) { r.tcp.end = now }) },
		TLSHandshakeStart: func() { r.note(func(now time.Time) { r.tls.begin = now }) },
		TLSHandshakeDone: func(state tls.ConnectionState, _ error) {
			r.note(func(now time.Time) { r.tls.end, r.resumed = now, state.DidResume })
		},
		GotConn: func(info httptrace.GotConnInfo) {
			r.note(func(now time.Time) { r.wait, r.reused = mark{begin: now}, info.Reused })
		},
		GotFirstResponseByte: func() { r.note(func(now time.Time) { r.wait.end = now }) },
	}), r
}
