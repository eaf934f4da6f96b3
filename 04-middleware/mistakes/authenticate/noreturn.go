//go:build ignore

// It refuses a bad token, and goes on. gin calls no handler behind, since refuse has
// aborted, and so it seems right. But the claims are there, which anyone can write, and
// they are noted: in the log stands that Ada was here.
//
//workshop:caught-by TestHandler/notes_nobody_by_a_bad_token
//workshop:says has put a name into our log
package authenticate

import (
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"clicktocode.example/04-middleware/request"
)

func (b *bouncer) handle(c *gin.Context) {
	token, sent := Bearer(c.Request.Header)
	if !sent {
		if !b.optional {
			refuse(c, NoToken)
		}
		return
	}
	if len(token) > MaxLength {
		refuse(c, BadToken)
		return
	}
	var claims Claims
	_, err := b.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return b.key, nil })
	if err != nil || claims.Subject == "" {
		refuse(c, BadToken)
	}
	request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{
		Subject: claims.Subject,
		Scopes:  strings.Fields(claims.Scope),
	}))
}
