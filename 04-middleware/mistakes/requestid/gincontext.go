//go:build ignore

// It makes the new context from gin's c, which passes for one. By itself, that never ends
// and knows nothing of what was noted in the request's. And where gin is told to look on
// there (ContextWithFallback, as in this chapter's chain), each of the two asks the other
// without end, and the process dies.
//
//workshop:caught-by TestNew/keeps_the_context_that_the_request_came_with
//workshop:says must be made from
package requestid

import (
	"crypto/rand"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

func handle(c *gin.Context, header string) {
	var id string
	if lines := c.Request.Header[header]; len(lines) == 1 && Sane(lines[0]) {
		id = lines[0]
	} else {
		id = rand.Text()
	}
	request.Note(c, request.WithID(c, id))
	c.Header(header, id)
}
