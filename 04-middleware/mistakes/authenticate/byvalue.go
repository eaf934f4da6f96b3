//go:build ignore

// It gives the parser its Claims by value. That is a copy, and the parser cannot
// write into it what the token says, so every token is refused, also a good one. It
// compiles all the same. Only the parser's error tells, and nobody reads that one.
//
//workshop:caught-by TestHandler/notes_who_it_is
//workshop:says If it is ParseWithClaims that refuses it
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
	case len(token) > MaxLength:
		refuse(c, BadToken)
		return
	}
	var claims Claims
	_, err := b.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return b.key, nil })
	if err != nil || claims.Subject == "" {
		refuse(c, BadToken)
		return
	}
	request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{
		Subject: claims.Subject,
		Scopes:  strings.Fields(claims.Scope),
	}))
}
