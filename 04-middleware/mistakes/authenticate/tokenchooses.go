//go:build ignore

// Its key function does as the token says: if the header names HS256, it hands the
// octets of the key to HMAC. Where the key is a public one, everybody has those
// octets, and everybody can sign.
//
//workshop:caught-by TestHandler/a_token_signed_with_the_public_key
//workshop:says The token must not choose how the key is used
package authenticate

import (
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"clicktocode.example/04-middleware/request"
)

func New(c Config) (gin.HandlerFunc, error) {
	key, err := c.check()
	if err != nil {
		return nil, err
	}
	b := &bouncer{key: key, parser: c.parser(), optional: c.Optional}
	return func(g *gin.Context) { b.choose(g, c.Key) }, nil
}

func (b *bouncer) choose(c *gin.Context, file []byte) {
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
	_, err := b.parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		if strings.HasPrefix(t.Method.Alg(), "HS") {
			return file, nil
		}
		return b.key, nil
	})
	if err != nil || claims.Subject == "" {
		refuse(c, BadToken)
		return
	}
	request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{
		Subject: claims.Subject,
		Scopes:  strings.Fields(claims.Scope),
	}))
}

func (c Config) parser() *jwt.Parser {
	return jwt.NewParser(
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithIssuer(c.Issuer),
		jwt.WithAudience(c.Audience),
		jwt.WithLeeway(c.Leeway),
		jwt.WithTimeFunc(c.Now),
	)
}
