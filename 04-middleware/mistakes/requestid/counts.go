//go:build ignore

// It counts. But the count begins anew with each start, and in each replica:
// three requests are called "1", and a search finds all of them.
//
//workshop:caught-by TestNew/makes_names_that_nobody_can_guess
//workshop:says or two replicas hit on the same
package requestid

import (
	"strconv"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

var count atomic.Int64

func handle(c *gin.Context, header string) {
	var id string
	if lines := c.Request.Header[header]; len(lines) == 1 && Sane(lines[0]) {
		id = lines[0]
	} else {
		id = strconv.FormatInt(count.Add(1), 10)
	}
	request.Note(c, request.WithID(c.Request.Context(), id))
	c.Header(header, id)
}
