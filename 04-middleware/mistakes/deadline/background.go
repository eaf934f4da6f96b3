//go:build ignore

// It makes the new context from nothing, and not from the one that the request has.
// What was noted there is lost: the request's ID, for instance. And nobody hears any
// more that the client has left.
//
//workshop:caught-by TestNew/keeps_what_was_noted_before
//workshop:says must be made from the one that the request has
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
	ctx, cancel := context.WithTimeout(context.Background(), b.timeout)
	defer cancel()
	request.Note(c, ctx)
	c.Next()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !c.Writer.Written() && c.Writer.Status() == http.StatusOK {
		problem.Abort(c, problem.Details{Status: http.StatusGatewayTimeout})
	}
}
