//go:build ignore

// It asks for the fields by Header.Get, which returns the first line and does not tell that
// there are more. Of two types, whoever stood before us may have checked the other one; and a
// client that lists what it reads on two lines is sent away.
//
//workshop:caught-by TestNew/counts_all_lines_of_a_field
//workshop:says Header.Get sees the first alone
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
	case !Acceptable([]string{c.GetHeader("Accept")}, b.accept):
		b.notAcceptable(c)
		return
	case r.ContentLength == 0:
		return
	case packed(r.Header):
		cannotUnpack(c)
		return
	case !Understood([]string{c.GetHeader("Content-Type")}, b.contentTypes):
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
