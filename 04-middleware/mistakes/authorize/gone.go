//go:build ignore

// It takes every error of the look-up for "not there". When the database is away, all
// guests read that their orders are gone, and some of them order again.
//
//workshop:caught-by TestOwner/answers_503_where_it_cannot_tell
//workshop:says 404 would say that her order is gone
package authorize

import (
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
	default:
		if err != nil {
			_ = g.Error(err)
		}
		problem.Abort(g, problem.Details{
			Status: http.StatusNotFound,
			Detail: "There is no such thing, or it is not yours.",
		})
	}
}
