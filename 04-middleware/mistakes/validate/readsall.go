//go:build ignore

// It reads the whole body, and looks at its size then. By that time all of it is in
// memory: who sends a terabyte, or ten thousand bodies at once, has filled it. The
// length is in the header, and where it is not, the reader can be limited.
//
//workshop:caught-by TestNew/does_not_read_a_body_that_says_it_is_too_large
//workshop:says has the whole of it in memory
package validate

import (
	"bytes"
	"io"

	"github.com/gin-gonic/gin"
)

func (b *bouncer) handle(c *gin.Context) {
	r := c.Request
	if !Acceptable(r.Header["Accept"], b.accept) {
		b.notAcceptable(c)
		return
	}
	if r.ContentLength == 0 {
		return
	}
	text, err := io.ReadAll(r.Body)
	if int64(len(text)) > b.maxBody || err != nil {
		b.tooLarge(c)
		return
	}
	if packed(r.Header) {
		cannotUnpack(c)
		return
	}
	if !Understood(r.Header["Content-Type"], b.contentTypes) {
		b.cannotRead(c)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	c.Next()
}
