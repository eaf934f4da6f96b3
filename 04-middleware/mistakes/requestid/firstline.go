//go:build ignore

// It asks by Header.Get, which returns the first line and does not tell that
// there are more. Who reads the last one, as some servers do, knows the same
// request by another name.
//
//workshop:caught-by TestNew/replaces_a_name_that_came_twice
//workshop:says Header.Get sees the first alone
package requestid

import (
	"crypto/rand"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

func handle(c *gin.Context, header string) {
	id := c.GetHeader(header)
	if !Sane(id) {
		id = rand.Text()
	}
	request.Note(c, request.WithID(c.Request.Context(), id))
	c.Header(header, id)
}
