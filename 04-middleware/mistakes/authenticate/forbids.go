//go:build ignore

// It answers 403. That says "we know who you are, and you may not", so a client
// gives up. 401 says "we do not know who you are", and in the field
// WWW-Authenticate how to tell: a client whose token has expired gets a new one.
//
//workshop:caught-by TestHandler/answers_401_where_no_token_was_sent
//workshop:says 401 says "tell us who you are"
package authenticate

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

func refuse(c *gin.Context, challenge string) {
	c.Header("WWW-Authenticate", challenge)
	problem.Abort(c, problem.Details{
		Status: http.StatusForbidden,
		Detail: "This needs a token that is good here and now, in the field Authorization.",
	})
}
