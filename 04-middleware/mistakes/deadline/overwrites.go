//go:build ignore

// It answers 504 whenever the time is up, even if those behind have begun their
// answer. The status has been sent by then, so the client sees theirs, and the text
// of the problem stands behind half a page.
//
//workshop:caught-by TestNew/leaves_an_answer_that_was_begun
//workshop:says a second answer cannot be sent
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
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		problem.Write(c.Writer, problem.Details{Status: http.StatusGatewayTimeout})
	}
}
