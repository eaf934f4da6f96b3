//go:build ignore

// It compares the IDs as one compares names, where upper and lower case are one. Two
// people whose IDs differ in nothing else are one person to it, and see each other's
// orders.
//
//workshop:caught-by TestOwner/compares_IDs_and_not_names
//workshop:says IDs are compared octet by octet
package authorize

import (
	"errors"
	"net/http"
	"strings"

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
	case err == nil && owner != "" && strings.EqualFold(owner, p.Subject):
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
