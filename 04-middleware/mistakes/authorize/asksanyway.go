//go:build ignore

// It looks up whose the thing is, and then finds that the answer does not matter to who
// may see all. The kitchen asks all evening, and each time the database is asked for
// nothing.
//
//workshop:caught-by TestOwner/looks_nothing_up_for_the_kitchen
//workshop:says A look-up less is one that cannot fail
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
	if p == nil {
		unknown(g)
		return
	}
	owner, err := c.Of(ctx, g.Param(c.Param))
	switch {
	case c.All != "" && p.May(c.All):
	case err == nil && owner != "" && owner == p.Subject:
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
