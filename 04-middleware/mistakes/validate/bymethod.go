//go:build ignore

// It looks at the bodies of POST and PUT, since these have one. But any method may come with
// a body: a PATCH of another type, or of any length, goes through unseen.
//
//workshop:caught-by TestNew/asks_whatever_the_method_is
//workshop:says Any method may come with one
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
	case r.Method != "POST" && r.Method != "PUT":
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
	body := limit(connection(c.Writer), r.Body, b.maxBody)
	r.Body = body
	c.Next()
	if body.exceeded.Load() {
		b.tooLarge(c)
	}
}
