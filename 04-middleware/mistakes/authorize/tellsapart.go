//go:build ignore

// Both answers are 404, but each says in words what is the matter. Whoever reads the
// body knows as much as 403 would have told.
//
//workshop:caught-by TestOwner/answers_both_alike
//workshop:says who can tell them apart
package authorize

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func (c Config) handle(g *gin.Context) {
	ctx := g.Request.Context()
	p := request.From(ctx)
	switch {
	case p == nil:
		unknown(g)
		return
	case c.All != "" && p.May(c.All):
		return
	}
	owner, err := c.Of(ctx, g.Param(c.Param))
	switch {
	case err == nil && owner != "" && owner == p.Subject:
	case err == nil:
		problem.Abort(g, problem.Details{Status: http.StatusNotFound, Detail: "This order is not yours."})
	case errors.Is(err, ErrNotFound):
		problem.Abort(g, problem.Details{Status: http.StatusNotFound, Detail: "There is no such order."})
	default:
		_ = g.Error(err)
		problem.Abort(g, problem.Details{
			Status: http.StatusServiceUnavailable,
			Detail: "We cannot look this up at the moment. Try again in a while.",
		})
	}
}
