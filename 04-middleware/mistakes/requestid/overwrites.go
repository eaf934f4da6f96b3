//go:build ignore

// It writes the ID into the request's header, too, so that nobody has to ask the
// context. From there on, what we made and what the client wrote look the same: who
// reads the field later takes a stranger's text for ours.
//
//workshop:caught-by TestNew/leaves_the_request's_header_as_it_came
//workshop:says What the client wrote stays what the client wrote
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
		c.Request.Header.Set(header, id)
	}
	request.Note(c, request.WithID(c.Request.Context(), id))
	c.Header(header, id)
}
