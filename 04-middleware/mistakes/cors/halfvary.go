//go:build ignore

// It says in the answers to preflights what they depend on, and not in those to other
// OPTIONS. But a cache knows no preflights: it keeps the answer that it got, and gives it to
// the next one who asks by OPTIONS, which may be one.
//
//workshop:caught-by TestPreflight/says_in_Vary_what_it_depends_on
//workshop:says a cache that has the answer would give it to a preflight
package cors

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

func (p *policy) handle(c *gin.Context) {
	r, h := c.Request, c.Writer.Header()
	h.Add("Vary", "Origin")
	origins, methods := r.Header["Origin"], r.Header["Access-Control-Request-Method"]
	preflight := r.Method == http.MethodOptions && len(origins) > 0 && len(methods) > 0
	if preflight {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	allowed := len(origins) == 1 && p.allows(origins[0])
	if preflight && !(allowed && p.method(methods) && p.fields(r.Header["Access-Control-Request-Headers"])) {
		problem.Abort(c, problem.Details{Status: http.StatusForbidden})
		return
	}
	if allowed {
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
