//go:build ignore

// It sets WWW-Authenticate once the problem is written. The header has gone by
// then, and the field with nobody: a client is refused, and not told that a token
// would help.
//
//workshop:caught-by TestHandler/asks_for_a_token_without_an_error_code
//workshop:says once the answer is written
package authenticate

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

func refuse(c *gin.Context, challenge string) {
	problem.Abort(c, problem.Details{
		Status: http.StatusUnauthorized,
		Detail: "This needs a token that is good here and now, in the field Authorization.",
	})
	c.Header("WWW-Authenticate", challenge)
}
