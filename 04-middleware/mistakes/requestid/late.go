//go:build ignore

// It sets the answer's header when the handlers behind have done their work. By
// then they have sent the header, and what is added to it goes nowhere.
//
//workshop:caught-by TestNew/tells_the_client_before_the_others_answer
//workshop:says a header that has been sent is sent
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
	request.Note(c, request.WithID(c.Request.Context(), id))
	c.Next()
	c.Header(header, id)
}
