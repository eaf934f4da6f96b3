//go:build ignore

// It checks the claim exp where there is one, as golang-jwt does by itself. A token
// without it has no end: once it has leaked, whoever finds it is Ada for ever.
//
//workshop:caught-by TestHandler/a_token_that_never_expires
//workshop:says a token without "exp"
package authenticate

import "github.com/golang-jwt/jwt/v5"

func (c Config) parser() *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{c.Algorithm}),
		jwt.WithIssuedAt(),
		jwt.WithIssuer(c.Issuer),
		jwt.WithAudience(c.Audience),
		jwt.WithLeeway(c.Leeway),
		jwt.WithTimeFunc(c.Now),
	)
}
