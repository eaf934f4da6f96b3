//go:build ignore

// It lets the library decode the token first, and looks at its length then. What
// was sent has been decoded by that time, so whoever sends a lot of nothing makes
// the house work for it.
//
//workshop:caught-by TestHandler/decodes_nothing_that_is_too_long
//workshop:says Look at its length before it is decoded
package authenticate

import (
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"clicktocode.example/04-middleware/request"
)

func (b *bouncer) handle(c *gin.Context) {
	token, sent := Bearer(c.Request.Header)
	switch {
	case !sent && b.optional:
		return
	case !sent:
		refuse(c, NoToken)
		return
	}
	var claims Claims
	_, err := b.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return b.key, nil })
	if err != nil || claims.Subject == "" || len(token) > MaxLength {
		refuse(c, BadToken)
		return
	}
	request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{
		Subject: claims.Subject,
		Scopes:  strings.Fields(claims.Scope),
	}))
}
