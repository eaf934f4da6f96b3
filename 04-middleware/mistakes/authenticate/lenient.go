//go:build ignore

// Where a token is optional, it takes every bad one for none. The client believes
// that it is known, and is served as nobody: it sees no error, and does not learn
// that its token has expired.
//
//workshop:caught-by TestHandler/refuses_a_bad_token_where_none_is_needed
//workshop:says one that was sent must be good
package authenticate

import (
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"clicktocode.example/04-middleware/request"
)

func (b *bouncer) handle(c *gin.Context) {
	token, sent := Bearer(c.Request.Header)
	challenge := NoToken
	if sent {
		challenge = BadToken
	}
	var claims Claims
	if len(token) <= MaxLength {
		_, err := b.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return b.key, nil })
		if err == nil && claims.Subject != "" {
			request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{
				Subject: claims.Subject,
				Scopes:  strings.Fields(claims.Scope),
			}))
			return
		}
	}
	if !b.optional {
		refuse(c, challenge)
	}
}
