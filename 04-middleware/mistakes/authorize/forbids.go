//go:build ignore

// It answers 403 for what is another's. So there is such an order: who tries one ID
// after the other learns which there are, and how many the house has in a day.
//
//workshop:caught-by TestOwner/answers_404_for_what_is_another's
//workshop:says 403 would say that there is an order
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
		problem.Abort(g, problem.Details{
			Status: http.StatusForbidden,
			Detail: "This order is not yours.",
		})
	case errors.Is(err, ErrNotFound):
		problem.Abort(g, problem.Details{
			Status: http.StatusNotFound,
			Detail: "There is no such order.",
		})
	default:
		_ = g.Error(err)
		problem.Abort(g, problem.Details{
			Status: http.StatusServiceUnavailable,
			Detail: "We cannot look this up at the moment. Try again in a while.",
		})
	}
}
