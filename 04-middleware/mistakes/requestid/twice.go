//go:build ignore

// It makes an ID each time that one is asked for: one for the context, another
// for the answer. The client quotes a name that stands in no line of the log.
//
//workshop:caught-by TestNew/tells_the_client_the_same_name
//workshop:says with the ID that is in the context
package requestid

import (
	"crypto/rand"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

func handle(c *gin.Context, header string) {
	request.Note(c, request.WithID(c.Request.Context(), name(c, header)))
	c.Header(header, name(c, header))
}

func name(c *gin.Context, header string) string {
	if lines := c.Request.Header[header]; len(lines) == 1 && Sane(lines[0]) {
		return lines[0]
	}
	return rand.Text()
}
