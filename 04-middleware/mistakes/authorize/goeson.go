//go:build ignore

// It writes the refusal and returns, as one does in net/http. But gin calls the next
// handler when this one has returned, unless Abort was called: the order is made, and
// the client reads that it was refused.
//
//workshop:caught-by TestScope/calls_no_handler_behind
//workshop:says Abort does
package authorize

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func Scope(scope string) gin.HandlerFunc {
	if !valid(scope) {
		panic(fmt.Sprintf("authorize: %q is no scope", scope))
	}
	return func(c *gin.Context) {
		p := request.From(c.Request.Context())
		if p == nil {
			c.Header("WWW-Authenticate", challenge)
			problem.Write(c.Writer, problem.Details{
				Status: http.StatusUnauthorized,
				Detail: "This needs a token: send one in the field Authorization.",
			})
			return
		}
		if !p.May(scope) {
			c.Header("WWW-Authenticate", challenge+`, error="insufficient_scope", scope="`+scope+`"`)
			problem.Write(c.Writer, problem.Details{
				Status: http.StatusForbidden,
				Detail: "Your token does not allow this. It needs the scope " + scope + ".",
			})
			return
		}
	}
}
