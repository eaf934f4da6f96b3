//go:build ignore

// It looks for the name anywhere in the list of scopes. "orders:write-drafts" holds
// "orders:write" as letters, and a right to drafts becomes a right to all.
//
//workshop:caught-by TestScope/knows_scopes_by_their_whole_name
//workshop:says that is another scope
package authorize

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

func Scope(scope string) gin.HandlerFunc {
	if !valid(scope) {
		panic(fmt.Sprintf("authorize: %q is no scope", scope))
	}
	return func(c *gin.Context) {
		switch p := request.From(c.Request.Context()); {
		case p == nil:
			unknown(c)
		case !strings.Contains(strings.Join(p.Scopes, " "), scope):
			c.Header("WWW-Authenticate", challenge+`, error="insufficient_scope", scope="`+scope+`"`)
			problem.Abort(c, problem.Details{
				Status: http.StatusForbidden,
				Detail: "Your token does not allow this. It needs the scope " + scope + ".",
			})
		}
	}
}
