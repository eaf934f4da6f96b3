//go:build ignore

// It takes whatever comes, if only something comes. Then a stranger decides what
// stands in our log: quotes and spaces that look like attributes of ours, a
// megabyte in every line, a script in the page of whoever looks for it.
//
//workshop:caught-by TestNew/replaces_a_hostile_name
//workshop:says it goes into logs and searches as it is
package requestid

import (
	"crypto/rand"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

func handle(c *gin.Context, header string) {
	var id string
	if lines := c.Request.Header[header]; len(lines) == 1 && lines[0] != "" {
		id = lines[0]
	} else {
		id = rand.Text()
	}
	request.Note(c, request.WithID(c.Request.Context(), id))
	c.Header(header, id)
}
