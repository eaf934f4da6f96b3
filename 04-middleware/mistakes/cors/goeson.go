//go:build ignore

// It answers the preflight, and does not end it. Returning means in gin to go
// on: the next bouncer asks the preflight for a token, which it never has, and
// the browser never sends the request.
//
//workshop:caught-by TestPreflight/reaches_nobody_behind
//workshop:says a preflight never has one
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
		set(h, "Access-Control-Allow-Credentials", p.credentials)
	}
	if preflight {
		set(h, "Access-Control-Allow-Methods", p.allowMethods)
		set(h, "Access-Control-Allow-Headers", p.allowHeaders)
		set(h, "Access-Control-Max-Age", p.maxAge)
		c.Status(http.StatusNoContent)
	} else if allowed {
		set(h, "Access-Control-Expose-Headers", p.exposeHeaders)
	}
}
