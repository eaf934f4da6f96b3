//go:build ignore

// It makes a context with a deadline, and keeps it to itself. The request has the
// one that it came with, and those behind ask the request: for them, nothing has
// changed, and they wait for ever.
//
//workshop:caught-by TestNew/those_behind_see_a_deadline
//workshop:says has to be put into the request
package deadline

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

func (b bouncer) handle(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), b.timeout)
	defer cancel()
	c.Next()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !c.Writer.Written() && c.Writer.Status() == http.StatusOK {
		problem.Abort(c, problem.Details{Status: http.StatusGatewayTimeout})
	}
}
