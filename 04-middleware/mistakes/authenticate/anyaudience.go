//go:build ignore

// It does not ask whom the token is for. One issuer serves many: the newsletter's
// server gets tokens of the same people, with the same signature, and could come
// here with each of them.
//
//workshop:caught-by TestHandler/a_token_for_someone_else
//workshop:says whoever got it to use it there could come here with it
package authenticate

import "github.com/golang-jwt/jwt/v5"

func (c Config) parser() *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{c.Algorithm}),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithIssuer(c.Issuer),
		jwt.WithLeeway(c.Leeway),
		jwt.WithTimeFunc(c.Now),
	)
}
