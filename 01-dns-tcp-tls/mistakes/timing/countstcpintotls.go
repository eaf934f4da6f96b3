//go:build ignore

// It takes the time from the start of the dial to the end of the handshake for
// TLS. But the dial is TCP's: with a far server, half of what is shown as
// "TLS" has nothing to do with certificates or keys.
//
//workshop:caught-by TestPhases/finds_the_TLS_handshake_alone
//workshop:says TCP's 20 ms are not part of it
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
					r.tcp.begin, r.tls.begin = now, now
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
		TLSHandshakeDone: func(state tls.ConnectionState, _ error) {
			r.note(func(now time.Time) { r.tls.end, r.resumed = now, state.DidResume })
		},
		GotConn: func(info httptrace.GotConnInfo) {
			r.note(func(now time.Time) { r.wait, r.reused = mark{begin: now}, info.Reused })
		},
		GotFirstResponseByte: func() { r.note(func(now time.Time) { r.wait.end = now }) },
	}), r
}
