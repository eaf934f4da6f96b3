//go:build ignore

// It watches for the first byte of the answer and nothing before it. So a slow
// name server, a far network and a slow server all look the same, and whoever
// is called at night does not know where to look.
//
//workshop:caught-by TestPhases/finds_the_look_up
//workshop:says DNSStart, DNSDone
package timing

import (
	"context"
	"net/http/httptrace"
	"time"
)

func Trace(ctx context.Context) (context.Context, *Recorder) {
	r := &Recorder{start: time.Now()}
	r.wait.begin = r.start
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(info httptrace.GotConnInfo) { r.note(func(time.Time) { r.reused = info.Reused }) },
		GotFirstResponseByte: func() { r.note(func(now time.Time) { r.wait.end = now }) },
	}), r
}
