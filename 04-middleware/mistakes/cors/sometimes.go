//go:build ignore

// It sets Vary only where it allows something. A cache that got the other
// answer, the one without permission, does not learn that it depends on Origin,
// and gives it to those who are allowed.
//
//workshop:caught-by TestRequest/says_so_also_to_an_origin_that_is_refused
//workshop:says which allows nobody
package cors

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

func (p *policy) handle(c *gin.Context) {
	r, h := c.Request, c.Writer.Header()
	if r.Method == http.MethodOptions {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	origins, methods := r.Header["Origin"], r.Header["Access-Control-Request-Method"]
	preflight := r.Method == http.MethodOptions && len(origins) > 0 && len(methods) > 0
	allowed := len(origins) == 1 && p.allows(origins[0])
	if preflight && !(allowed && p.method(methods) && p.fields(r.Header["Access-Control-Request-Headers"])) {
		problem.Abort(c, problem.Details{Status: http.StatusForbidden})
		return
	}
	if allowed {
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", p.allowOrigin(origins[0]))
		set(h, "Access-Control-Allow-Credentials", p.credentials)
	}
	if preflight {
		set(h, "Access-Control-Allow-Methods", p.allowMethods)
		set(h, "Access-Control-Allow-Headers", p.allowHeaders)
		set(h, "Access-Control-Max-Age", p.maxAge)
		c.AbortWithStatus(http.StatusNoContent)
	} else if allowed {
		set(h, "Access-Control-Expose-Headers", p.exposeHeaders)
	}
}
