//go:build ignore

// It looks at the time in a deferred function, which also runs in a panic. There it
// answers 504 before recovery has its turn: that one finds an answer that was begun, and
// cuts the connection.
//
//workshop:caught-by TestNew/answers_nothing_in_a_panic
//workshop:says Where a 504 stands already
package deadline

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func (b bouncer) handle(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), b.timeout)
	defer func() {
		answered := c.Writer.Written() || c.Writer.Status() != http.StatusOK
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && !answered {
			problem.Abort(c, problem.Details{Status: http.StatusGatewayTimeout})
		}
		cancel()
	}()
	request.Note(c, ctx)
	c.Next()
}
