//go:build ignore

// It begins the wait when the request has been written. An upload by a slow line
// then shows up nowhere: the phases leave a hole, just where the time went.
//
//workshop:caught-by TestPhases/counts_the_way_of_the_request
//workshop:says not from having sent all
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
		ConnectDone: func(_, _ string, err error) {
			r.note(func(now time.Time) {
				if !r.connected {
					r.tcp.end, r.connected = now, err == nil
				}
			})
		},
		TLSHandshakeStart: func() { r.note(func(now time.Time) { r.tls.begin = now }) },
		TLSHandshakeDone: func(state tls.ConnectionState, _ error) {
			r.note(func(now time.Time) { r.tls.end, r.resumed = now, state.DidResume })
		},
		GotConn: func(info httptrace.GotConnInfo) {
			r.note(func(time.Time) { r.reused = info.Reused })
		},
		WroteRequest: func(httptrace.WroteRequestInfo) {
			r.note(func(now time.Time) { r.wait.begin = now })
		},
		GotFirstResponseByte: func() { r.note(func(now time.Time) { r.wait.end = now }) },
	}), r
}
