//go:build ignore

// It ends the body at the limit, by io.LimitReader. Those behind read up to there and
// meet the end, as of any body: nobody knows that something is missing. An order loses
// its last lines, and is cooked.
//
//workshop:caught-by TestNew/limits_a_body_whose_length_is_not_known
//workshop:says looks whole, and is cut off
package validate

import (
	"io"

	"github.com/gin-gonic/gin"
)

func (b *bouncer) handle(c *gin.Context) {
	r := c.Request
	switch {
	case r.ContentLength > b.maxBody:
		b.tooLarge(c)
		return
	case !Acceptable(r.Header["Accept"], b.accept):
		b.notAcceptable(c)
		return
	case r.ContentLength == 0:
		return
	case packed(r.Header):
		cannotUnpack(c)
		return
	case !Understood(r.Header["Content-Type"], b.contentTypes):
		b.cannotRead(c)
		return
	}
	r.Body = io.NopCloser(io.LimitReader(r.Body, b.maxBody))
}
