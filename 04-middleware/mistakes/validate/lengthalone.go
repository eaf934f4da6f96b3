//go:build ignore

// It believes the Content-Length, and limits nothing. A client need not send one: with
// Transfer-Encoding: chunked a body is as long as it likes, and nobody counts.
//
//workshop:caught-by TestNew/limits_a_body_whose_length_is_not_known
//workshop:says its word is not enough
package validate

import (
	"github.com/gin-gonic/gin"
)

func (b *bouncer) handle(c *gin.Context) {
	r := c.Request
	switch {
	case r.ContentLength > b.maxBody:
		b.tooLarge(c)
	case !Acceptable(r.Header["Accept"], b.accept):
		b.notAcceptable(c)
	case r.ContentLength == 0:
	case packed(r.Header):
		cannotUnpack(c)
	case !Understood(r.Header["Content-Type"], b.contentTypes):
		b.cannotRead(c)
	}
}
