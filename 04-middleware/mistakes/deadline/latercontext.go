//go:build ignore

// It asks the request for its context when all have returned. By then it may be one that
// those behind have made, and ended for reasons of their own: the time was up, and
// nobody is told.
//
//workshop:caught-by TestNew/asks_the_context_that_it_has_made
//workshop:says whether the time was up, the one tells that was made here
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
	defer cancel()
	request.Note(c, ctx)
	c.Next()
	answered := c.Writer.Written() || c.Writer.Status() != http.StatusOK
	if errors.Is(c.Request.Context().Err(), context.DeadlineExceeded) && !answered {
		problem.Abort(c, problem.Details{Status: http.StatusGatewayTimeout})
	}
}
