// Package requestid gives every request a name, so that all that is written
// about it, here and elsewhere, can be found by that name.
//
// Whoever stands in front may have named it already: the edge, or a client that
// keeps a log of its own. A name that everybody uses is worth more than ours,
// so it is kept, if it is sane. But it is text from a stranger, and goes into
// logs, answers and searches: one that could do harm there gives way, whole, to
// another. In the story, the guest's coat gets a ticket at the door, unless it has one.
//
// An ID is a label and no key. Two requests may bear the same one, since a
// client can send what it likes. So nothing is decided by it: not who asks, not
// whether an order came twice.
//
// Source: RFC 3986 §2.3 (unreserved characters); RFC 9110 §5 (fields). The
// field itself is custom, not standard; W3C's traceparent is the standard one.
package requestid

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"golang.org/x/net/http/httpguts"
)

// MaxLength is the most octets that an ID has. A UUID has 36, a traceparent 55,
// and a SHA-256 in hexadecimal 64.
const MaxLength = 64

// Config is what a bouncer of this kind works with.
type Config struct {
	// Header is the field that holds the ID, in requests and in answers. Empty
	// means X-Request-ID.
	Header string
}

// New returns a handler that notes the request's ID by request.WithID, and sets
// it in the answer's header, before those behind it are called.
//
// It is the ID that the request came with, if the request has the field exactly
// once and its value is sane. Otherwise it is a new one, which is sane, too, and
// holds at least 64 random bits from crypto/rand: no two are ever the same,
// whichever replica makes them, and none can be guessed from another. The
// request's own header stays as it came: ask request.ID, not the field. Its
// context stays what it was, too, with the ID in it: what was noted before is still
// there, and it ends when the client leaves.
//
// err tells that c.Header is no field name (RFC 9110 §5.1).
func New(c Config) (gin.HandlerFunc, error) {
	header := cmp.Or(c.Header, "X-Request-ID")
	if !httpguts.ValidHeaderFieldName(header) {
		return nil, fmt.Errorf("requestid: Header is %q, which is no field name", c.Header)
	}
	header = http.CanonicalHeaderKey(header) // as the keys of an http.Header are written
	return func(c *gin.Context) { handle(c, header) }, nil
}

// handle does what New says, with the field of that name, which is written as the
// keys of an http.Header are.
func handle(c *gin.Context, header string) {
	// TODO(requestid): Take the ID from c.Request.Header[header], if it is there once and Sane.
	// Otherwise make one (crypto/rand). Note it in the request's context, and set
	// it in the answer's header (c.Header): the same one.
	// The reference imports, besides what stands above: "clicktocode.example/04-middleware/request", "crypto/rand".
}

// Sane reports whether id can be used as it is, wherever an ID is used. It is 1
// to MaxLength octets long, and all of them are unreserved in a URI (RFC 3986
// §2.3): the letters A to Z and a to z, digits, and "-", ".", "_", "~". None of
// these means anything in a line of a log, in a header, in JSON, in HTML, in a
// shell or in the query of who looks for it.
func Sane(id string) bool {
	// TODO(requestid): Look at the length, then at each octet.
	return false
}
