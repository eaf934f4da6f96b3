// Package secure sets the fields of an answer that tell a browser what it must
// not do with it. They help where something else has failed: an injected script, a
// page of somebody else's with ours in a frame.
//
// The values are those for an API, whose answers are data and never pages:
//
//	Strict-Transport-Security     come back by TLS only, for a year (RFC 6797)
//	Content-Security-Policy       opened as a page, it loads, runs and frames nothing
//	X-Content-Type-Options        it is what Content-Type says; do not guess (a page, say)
//	Referrer-Policy               tell no other site the address, which may hold an order's ID
//	Cross-Origin-Resource-Policy  other sites may not embed it; CORS may still allow to read
//
// A page needs other values. The shop's is served by chapter 3's edge, with a
// policy of its own. Here, a handler that has a page replaces what it needs to: the
// fields are set before it is called.
//
// These are in every answer, so there are no more than help. Left out:
// X-Frame-Options, which frame-ancestors has replaced; X-XSS-Protection, which
// browsers have removed, since it did harm; Cross-Origin-Opener-Policy and
// Permissions-Policy, which are about what scripts of a page do. Cache-Control is
// for the handler to set, who knows what may be kept; a problem has no-store.
//
// Source: OWASP's REST Security and HTTP Headers cheat sheets; Content Security
// Policy Level 3; the Fetch standard.
package secure

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// Config is what a bouncer of this kind works with.
type Config struct {
	// HSTS is for how long a browser that was here once comes by TLS alone, in whole
	// seconds. It cannot be taken back: who has it in mind comes by TLS until then.
	// 0 means a year. Below 0, the field is left out: for a host that is also
	// reached in the clear.
	HSTS time.Duration
}

const year = 365 * 24 * time.Hour

// New returns a handler that sets the fields, and calls nobody: gin does.
//
// Strict-Transport-Security is set whether the request came by TLS or not: here it
// never does, since TLS ends at the edge. A browser that gets it in the clear does
// not look at it (RFC 6797 §8.1).
//
// err tells that c.HSTS is no number of seconds.
func New(c Config) (gin.HandlerFunc, error) {
	if c.HSTS%time.Second != 0 {
		return nil, fmt.Errorf("secure: HSTS is %s, must be whole seconds", c.HSTS)
	}
	if c.HSTS == 0 {
		c.HSTS = year
	}
	type field struct {
		name  string
		value []string
	}
	fields := []field{ // names as the keys of an http.Header are written
		{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}},
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
	}
	if c.HSTS > 0 {
		fields = append(fields, field{"Strict-Transport-Security", []string{"max-age=" + strconv.FormatInt(int64(c.HSTS/time.Second), 10)}})
	}
	return func(c *gin.Context) {
		h := c.Writer.Header()
		for _, f := range fields {
			h[f.name] = f.value // all answers share it: Set and Add on an http.Header leave what is there unchanged
		}
	}, nil
}
