//go:build ignore

// It lets those behind run in a goroutine, and answers in their place when the time is
// up, as http.TimeoutHandler does. They run on after the request. But gin gives their
// gin.Context to the next one: they read its header, and write into its answer.
//
//workshop:caught-by TestNew/waits_for_those_who_do_not_look
//workshop:says with a gin.Context that is that one's by now
package deadline

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func (b bouncer) handle(c *gin.Context) {
	parent := c.Request.Context()
	ctx, cancel := context.WithTimeout(parent, b.timeout)
	defer cancel()
	request.Note(c, ctx)
	done, panicked := make(chan struct{}), any(nil)
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		c.Next()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done:
		case <-time.After(time.Millisecond): // they may be about to return
		}
	}
	if ctx.Err() == context.DeadlineExceeded && !c.Writer.Written() && c.Writer.Status() == http.StatusOK {
		problem.Abort(c, problem.Details{Status: http.StatusGatewayTimeout})
	}
	if panicked != nil {
		panic(panicked)
	}
}
