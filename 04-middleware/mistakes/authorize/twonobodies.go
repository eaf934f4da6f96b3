//go:build ignore

// It asks only whether the two are the same, and nothing is the same as nothing. An
// order whose owner was lost is open to everyone whose token names no one.
//
//workshop:caught-by TestOwner/takes_no_two_nobodies_for_one
//workshop:says nothing on both sides does not make it theirs
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
	case err == nil && owner == p.Subject:
	case err == nil, errors.Is(err, ErrNotFound):
		problem.Abort(g, problem.Details{
			Status: http.StatusNotFound,
			Detail: "There is no such thing, or it is not yours.",
		})
	default:
		_ = g.Error(err)
		problem.Abort(g, problem.Details{
			Status: http.StatusServiceUnavailable,
			Detail: "We cannot look this up at the moment. Try again in a while.",
		})
	}
}
