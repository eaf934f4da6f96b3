//go:build ignore

// It looks at the first line of Access-Control-Request-Headers. A list may come
// in several, and what stands in the others is allowed unseen.
//
//workshop:caught-by TestPreflight/counts_all_lines_of_requested_fields
//workshop:says all of them count
package cors

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

func (p *policy) handle(c *gin.Context) {
	r, h := c.Request, c.Writer.Header()
	h.Add("Vary", "Origin")
	if r.Method == http.MethodOptions {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	origins, methods := r.Header["Origin"], r.Header["Access-Control-Request-Method"]
	preflight := r.Method == http.MethodOptions && len(origins) > 0 && len(methods) > 0
	allowed := len(origins) == 1 && p.allows(origins[0])
	if preflight && !(allowed && p.method(methods) && p.fields([]string{c.GetHeader("Access-Control-Request-Headers")})) {
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
