// Package authenticate finds out who makes a request, from a token that the
// client bears: a JSON Web Token in the field Authorization.
//
// A token is a claim with a signature: "I am Ada, I may order, until six
// o'clock". Anyone can write one, and read one. Only who has the key can sign
// one, so it is the signature that is believed, and nothing before it was
// checked: not the claims, and not the token's own header either, which says by
// which algorithm and with which key it wants to be checked. In the story, the
// guest shows a wristband. The bouncer looks at the stamp, the date and the
// name of the house; that it looks like a wristband is not enough.
//
// Who it is, is all that is asked here. What they may do is authorize's affair.
//
// Left out: revocation. A token is good until it expires, so it should not live
// long. Several keys at a time (kid, JWKS), tokens that are bound to a key
// (DPoP, RFC 9449), "typ" (RFC 9068 §4) and "crit" (RFC 7515 §4.1.11).
//
// Source: RFC 6750 (bearer tokens), RFC 7519 (JWT), RFC 8725 (how they have been
// broken), RFC 8693 §4.2 (scope), RFC 9110 §11 (authentication in HTTP).
package authenticate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
)

// MaxLength is the most octets that a token has. One with a few scopes has some
// 300; what is longer than this was not issued by anyone we know, and is not
// worth the work of decoding it.
const MaxLength = 4096

// Challenges: what the field WWW-Authenticate says in an answer with status 401
// (RFC 6750 §3).
const (
	// NoToken is for a request that did not bring a token. There is no error in
	// that, so there is no error code.
	NoToken = `Bearer realm="shop.test"`
	// BadToken is for every token that is not accepted. Which rule it broke is not
	// said: the client can do nothing with it but get a new token, and who forges
	// one should not be told how near it came.
	BadToken = NoToken + `, error="invalid_token", error_description="The access token is expired, or not valid here."`
)

// Config is what a bouncer of this kind works with.
type Config struct {
	// Algorithm is the only one by which a token may be signed, as its header
	// names it (RFC 7518 §3.1, RFC 8037): HS256, or ES256, RS256 or EdDSA
	// (Ed25519). Required.
	Algorithm string
	// Key checks signatures. For HS256 it is the secret itself, at least 32 random
	// octets (RFC 7518 §3.2). For the others, it is the public key in PEM, a block
	// "PUBLIC KEY"; RSA's has 2048 bits or more. Required. It is not kept, but
	// copied.
	Key []byte
	// Issuer is the only one whose tokens are accepted: "iss", octet by octet.
	// Required.
	Issuer string
	// Audience is who we are: one of "aud", octet by octet. Required: without it, a
	// token that a client gave to another service would open this one, too.
	Audience string
	// Leeway is how far the issuer's clock and ours may be apart: a token is good
	// for so much longer, and so much earlier. 0 means not at all; at most
	// MaxLeeway.
	Leeway time.Duration
	// Now is the clock. nil means time.Now.
	Now func() time.Time
	// Optional lets requests without a token pass, as nobody: for a menu that is
	// open to all. Then it is authorize that must ask, on each route that is not.
	// A token that was sent and is bad is refused all the same. False refuses both.
	Optional bool
}

// MaxLeeway is the most that clocks may be apart (RFC 7519 §4.1.4: "usually no
// more than a few minutes").
const MaxLeeway = 5 * time.Minute

// Claims are what a token says, as far as it is of interest here.
type Claims struct {
	jwt.RegisteredClaims
	// Scope holds what the bearer may do, separated by spaces (RFC 8693 §4.2).
	Scope string `json:"scope,omitempty"`
}

// New returns a handler that notes who makes the request, by
// request.WithPrincipal: the token's "sub", as it is, and its scopes. Those behind
// it are called then, and no sooner. What was noted in the request's context before
// stays there, and it ends as it would have.
//
// A token is accepted if it is at most MaxLength octets long, it is signed with
// c.Key by c.Algorithm, and these claims hold (RFC 7519 §4.1):
//
//	exp    is there, and not reached yet
//	nbf    is not there, or reached
//	iat    is not there, or not in the future
//	iss    is c.Issuer
//	aud    is c.Audience, or a list with it
//	sub    is there, and not empty
//
// Nothing in the token decides how it is checked: neither "alg" nor "kid" nor a
// key that it brings along ("jwk", "jku", "x5c").
//
// Otherwise the request is refused: a problem with status 401, and the field
// WWW-Authenticate with BadToken, or with NoToken if none was sent (see Bearer).
// Nothing of the reason is in it, and nobody is noted: whoever stands before, and
// writes the log, would tell of one who was not here. With c.Optional, a request
// without a token passes, and request.From is nil.
//
// The handler may be used by many requests at once. err tells of all that is
// wrong with c, and never shows the key.
func New(c Config) (gin.HandlerFunc, error) {
	key, err := c.check()
	if err != nil {
		return nil, err
	}
	b := &bouncer{key: key, parser: c.parser(), optional: c.Optional} // the parser once: it is many allocations
	return b.handle, nil
}

type bouncer struct {
	key      any // []byte, *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey: what the algorithm takes
	parser   *jwt.Parser
	optional bool
}

func (b *bouncer) handle(c *gin.Context) {
	// TODO(authenticate): Get the token by Bearer. None was sent: return if b.optional, so that the next
	// handler has its turn, otherwise refuse with NoToken. Longer than MaxLength:
	// refuse with BadToken. Then let b.parser read it into a Claims
	// (ParseWithClaims with its address, &claims), with a key function that returns
	// b.key and asks the token nothing. Refuse with BadToken if that fails, or if
	// there is no subject. Otherwise note the principal.
	// The reference imports, besides what stands above: "clicktocode.example/04-middleware/problem", "clicktocode.example/04-middleware/request", "strings".
}

// parser returns one that accepts what New says of the algorithm and the
// claims, except for "sub".
func (c Config) parser() *jwt.Parser {
	// TODO(authenticate): Say by options (jwt.With…) what must hold. A parser without options believes
	// every algorithm, takes a token without exp for one that never ends, and does
	// not look at iss, aud and iat.
	return jwt.NewParser()
}

// Bearer returns the token in a request's header h, and whether one was sent.
//
// It is in the field Authorization, behind the scheme Bearer, in upper or lower
// case, and one or more spaces (RFC 9110 §11.1, §11.4; RFC 6750 §2.1). All that
// stands there is the token, up to the end: a second word is part of it, and makes it
// a bad one. No field, or another scheme, means that none was sent. The scheme with
// nothing behind it is an empty token that was sent.
//
// Several such fields are an empty token that was sent, whatever they hold:
// who stood before us may have checked another one than we would.
//
// A token in the query is none: addresses are written to logs and histories
// (RFC 6750 §5.3). Nor is one in a cookie or in a form: a browser would send it
// from any page, without being asked.
func Bearer(h http.Header) (token string, sent bool) {
	// TODO(authenticate): Look at h["Authorization"], all of it.
	return "", false
}

// refuse ends c with status 401, the challenge in the field WWW-Authenticate (a
// 401 must have it: RFC 9110 §15.5.2), and a problem that says what to do. No
// handler behind is called.
func refuse(c *gin.Context, challenge string) {
	// TODO(authenticate): Set the field (c.Header), then problem.Abort.
}

// check returns the key as golang-jwt wants it for c.Algorithm, or all that is
// wrong with c. The key's Go type belongs to one algorithm: a public key that is
// handed on as octets could be taken for HS256's secret, and it is no secret.
func (c Config) check() (key any, err error) {
	key, err = c.key()
	faults := []error{err}
	if c.Issuer == "" {
		faults = append(faults, errors.New("authenticate: Issuer is empty: whose tokens are accepted?"))
	}
	if c.Audience == "" {
		faults = append(faults, errors.New("authenticate: Audience is empty: whom must a token be for?"))
	}
	if c.Leeway < 0 || c.Leeway > MaxLeeway {
		faults = append(faults, fmt.Errorf("authenticate: Leeway is %s, not between 0 and %s", c.Leeway, MaxLeeway))
	}
	return key, errors.Join(faults...)
}

func (c Config) key() (any, error) {
	switch c.Algorithm {
	case "HS256":
		if bytes.Contains(c.Key, []byte("-----BEGIN ")) {
			return nil, errors.New("authenticate: Key is PEM, but HS256 wants a secret: whoever knows a public key could sign")
		}
		if len(c.Key) < 32 {
			return nil, fmt.Errorf("authenticate: Key has %d octets, HS256 needs 32 or more (RFC 7518 §3.2)", len(c.Key))
		}
		return bytes.Clone(c.Key), nil
	case "ES256", "RS256", "EdDSA":
	default:
		return nil, fmt.Errorf("authenticate: Algorithm is %q, not HS256, ES256, RS256 or EdDSA", c.Algorithm)
	}
	block, _ := pem.Decode(c.Key)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf(`authenticate: Key is no block "PUBLIC KEY" in PEM, which %s needs`, c.Algorithm)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("authenticate: Key: %w", err)
	}
	var fits bool
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		fits = c.Algorithm == "ES256" && k.Curve == elliptic.P256()
	case *rsa.PublicKey:
		fits = c.Algorithm == "RS256" && k.N.BitLen() >= 2048
	case ed25519.PublicKey:
		fits = c.Algorithm == "EdDSA"
	}
	if !fits {
		return nil, fmt.Errorf("authenticate: Key is a %T that does not fit %s, or is too short", key, c.Algorithm)
	}
	return key, nil
}
