// Package sticky brings a customer back to the backend that served him first,
// by a cookie, for as long as that backend is available.
//
// It helps where a backend keeps something of its customers in memory. It costs
// evenness: the customers of a backend that was down stay where they went, and
// a new backend gets new customers only. Where there is a name for the customer
// in each request, package hashring does it without a cookie; where backends
// remember nothing, as they should, neither is needed.
//
// In the story, the guest gets a card with the name of his waiter on it, in
// writing that only the house can read.
//
// Source: RFC 6265bis, "Cookies" (§4.1.3 on the prefix __Host-); NIST SP
// 800-38D on AES-GCM.
package sticky

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"net/http"

	"clicktocode.example/02-load-balancer/balancer"
)

// CookieName is the cookie. By its prefix, browsers take it from https alone,
// and from no neighbouring domain.
const CookieName = "__Host-backend"

// Sticky is a balancer.Picker. Make one with New. A request's way is
//
//	key := s.Key(r)
//	b := s.Pick(pool, key)
//	s.Remember(w.Header(), pool, key, b)
type Sticky struct {
	seal cipher.AEAD
	next balancer.Picker
}

var _ balancer.Picker = (*Sticky)(nil)

// New returns a Sticky that asks next when a request brings no cookie, or one
// of a backend that is not available. The secret, 32 random octets, is the same
// for all balancers of a pool: what one of them wrote, the others can read.
// With another one, all customers start anew, and nothing breaks.
func New(secret []byte, next balancer.Picker) (*Sticky, error) {
	if len(secret) != 32 {
		return nil, fmt.Errorf("sticky: the secret has %d octets, want 32", len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("sticky: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sticky: %w", err)
	}
	return &Sticky{seal: seal, next: next}, nil
}

// Key is what r brings: the cookie's value, or "".
func (s *Sticky) Key(r *http.Request) string {
	c, err := r.Cookie(CookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

// Pick returns the backend of pool that key names, if it is available. If not,
// or if key says nothing that this house wrote, it returns what next picks, for
// the empty key.
func (s *Sticky) Pick(pool []*balancer.Backend, key string) *balancer.Backend {
	if b := s.named(pool, key); b != nil && b.Available() {
		return b
	}
	return s.next.Pick(pool, "")
}

// Remember adds the cookie for b to an answer's header, unless key, which came
// with the request, says b already. The cookie lives until the browser closes.
// It holds b's name, enciphered: a customer learns nothing about the pool, and
// cannot choose a backend. A nil b adds nothing.
//
// An answer with this cookie is for one customer: a cache that others share must
// not keep it.
func (s *Sticky) Remember(h http.Header, pool []*balancer.Backend, key string, b *balancer.Backend) {
	if b == nil || s.named(pool, key) == b {
		return
	}
	c := &http.Cookie{
		Name:     CookieName,
		Value:    base64.RawURLEncoding.EncodeToString(s.seal.Seal(nil, nil, []byte(b.Name()), []byte(CookieName))),
		Path:     "/",                  // __Host- demands it, and Secure, and no Domain
		Secure:   true,                 // never in the clear
		HttpOnly: true,                 // no script has any business with it
		SameSite: http.SameSiteLaxMode, // comes along by a link to the shop, not with what other sites load from it
	}
	h.Add("Set-Cookie", c.String())
}

// named returns the backend of pool that key names, or nil.
func (s *Sticky) named(pool []*balancer.Backend, key string) *balancer.Backend {
	sealed, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || key == "" {
		return nil
	}
	name, err := s.seal.Open(nil, nil, sealed, []byte(CookieName))
	if err != nil {
		return nil
	}
	for _, b := range pool {
		if b.Name() == string(name) {
			return b
		}
	}
	return nil
}
