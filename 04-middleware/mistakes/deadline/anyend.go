//go:build ignore

// It takes every end of the context for the end of the time. But the context ends
// also when the client leaves: a customer who closes the page is counted as a fault
// of ours then, and wakes somebody at night.
//
//workshop:caught-by TestNew/says_nothing_to_a_client_that_left
//workshop:says error is context.Canceled
package deadline

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func (b bouncer) handle(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), b.timeout)
	defer cancel()
	request.Note(c, ctx)
	c.Next()
	if ctx.Err() != nil && !c.Writer.Written() && c.Writer.Status() == http.StatusOK {
		problem.Abort(c, problem.Details{Status: http.StatusGatewayTimeout})
	}
}
