//go:build ignore

// It gives c.Writer to http.MaxBytesReader. That asks the writer to close the connection
// after the answer, by a method that only net/http's own writer has; gin's does not, and
// nothing is said. So the connection stays open, and the server reads the rest of a body
// that it has just refused.
//
//workshop:caught-by TestNew/closes_it_whoever_answers
//workshop:says which is asked in vain
package validate

import (
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
	body := limit(c.Writer, r.Body, b.maxBody)
	r.Body = body
	c.Next()
	if body.exceeded.Load() {
		b.tooLarge(c)
	}
}
