//go:build ignore

// It names the origin to those who are allowed alone, and says the rest to everybody: that
// cookies may come along, and which fields are to be read. An answer that allows nobody
// must not speak of what others may. One more careless line, and it does allow them.
//
//workshop:caught-by TestRequest/tells_nothing_to_others
//workshop:says the answer says nothing of what others may
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
	if preflight && !(allowed && p.method(methods) && p.fields(r.Header["Access-Control-Request-Headers"])) {
		problem.Abort(c, problem.Details{Status: http.StatusForbidden})
		return
	}
	if allowed {
		h.Set("Access-Control-Allow-Origin", p.allowOrigin(origins[0]))
	}
	set(h, "Access-Control-Allow-Credentials", p.credentials)
	if preflight {
		set(h, "Access-Control-Allow-Methods", p.allowMethods)
		set(h, "Access-Control-Allow-Headers", p.allowHeaders)
		set(h, "Access-Control-Max-Age", p.maxAge)
		c.AbortWithStatus(http.StatusNoContent)
	} else {
		set(h, "Access-Control-Expose-Headers", p.exposeHeaders)
	}
}
