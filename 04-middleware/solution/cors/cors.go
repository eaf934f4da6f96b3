// Package cors tells browsers which other origins may use this service.
//
// A browser runs scripts of many sites at once, and each request that one of
// them makes carries what the browser knows of its user. So a script may read
// answers of its own origin only: same scheme, same host, same port (RFC 6454).
// CORS is how a server makes exceptions. In the story, the bouncer has a list of
// the houses whose waiters may order for their guests. It is the guest who asks
// to see it: the browser enforces the list, and what is no browser ignores it.
//
// So this keeps nobody out. A request of an origin that is not listed reaches
// the handler, who must not change anything for somebody who is not
// authenticated; the browser merely keeps the answer from the script. Only what
// a plain form could not send (another method, another field, JSON) is asked
// for in advance, in a preflight, and not sent if that is refused.
//
// It stands in front of authenticate, since preflights never carry credentials,
// and in front of all who refuse, so that a script can read why.
//
// Left out: private network access, schemes other than http and https (browser
// extensions), and the list of public suffixes: "https://*.co.uk" is taken, so do
// not write it.
//
// Source: the Fetch standard, "CORS protocol" and "CORS-preflight fetch"
// (https://fetch.spec.whatwg.org/#http-cors-protocol); RFC 6454 (origins);
// RFC 9110 §12.5.5 (Vary).
package cors

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

// Config is what a bouncer of this kind works with. What it may hold, check
// says in config.go; what a browser would never send is a fault, because it
// would be without effect.
type Config struct {
	// Origins are those whose scripts may read answers, as a browser writes them
	// in Origin ("https://shop.test:8443": lower case, no default port, no slash
	// at the end), or with "*." in place of one or more labels in front of a
	// domain ("https://*.shop.test"), or "*" alone: everybody. None means nobody.
	Origins []string
	// Methods are those that scripts may use, apart from GET, HEAD and POST, which
	// need no permission.
	Methods []string
	// Headers are the fields that scripts may send, apart from those that a form
	// can send, too. A JSON body takes "Content-Type" here.
	Headers []string
	// Expose are the fields of an answer that scripts may read, apart from a few
	// that they always may: "Location", "Retry-After", "X-Request-ID".
	Expose []string
	// Credentials says that scripts may read answers to requests that carry the
	// user's cookies. A token that the script itself puts in Authorization does not
	// need it. It cannot be had with the origin "*", nor with plain http.
	Credentials bool
	// MaxAge is how long a browser may remember a preflight's answer, in whole
	// seconds, at most 24 hours. 0 leaves that to the browser: 5 seconds.
	MaxAge time.Duration
}

// New returns a handler that answers preflights, and notes in all other answers
// who may read them.
//
// A preflight has the method OPTIONS and the fields Origin and
// Access-Control-Request-Method, each once or more. It is answered here, and no
// handler behind is called: with status 204 and what is allowed, or, if its origin,
// its method or one of its fields is not, or if it has two origins or two methods, by
// a problem with status 403 without a single field that allows anything.
//
// Any other request goes to the handlers behind, whatever its origin. If that is
// allowed, then the answer says so (Access-Control-Allow-Origin,
// -Allow-Credentials, -Expose-Headers), even if one behind refuses the request. If it
// is not, or if there is none, the answer has no such field at all. A field that
// would be empty is left out. What is allowed is told before they are called.
//
// A request has one Origin; with two, it has none that is allowed. "null" is allowed
// only where everybody is: every sandboxed frame of every site is "null".
//
// Every answer has Origin in its Vary, so that no cache gives one origin the
// answer for another, or for none. Answers to OPTIONS have the other two fields
// there, too. Vary that is there already stays.
//
// It must be used by the whole engine (engine.Use), not by a group: preflights
// fit no route.
//
// err names all faults of c at once.
func New(c Config) (gin.HandlerFunc, error) {
	p, err := c.policy()
	if err != nil {
		return nil, err
	}
	return p.handle, nil
}

// handle is the handler that New returns, and does what is said there.
func (p *policy) handle(c *gin.Context) {
	//workshop:begin
	//workshop:todo Add to Vary first. Is the origin allowed (p.allows)? Is this a preflight, and
	//workshop:todo if so, are its method (p.method) and its fields (p.fields) allowed, too? Refuse
	//workshop:todo it by problem.Abort, or set what is allowed and end it by AbortWithStatus. Any
	//workshop:todo other request goes on: return. p.allowOrigin is what to allow this origin as.
	//workshop:todo set leaves out what is empty.
	r, h := c.Request, c.Writer.Header()
	h.Add("Vary", "Origin") // also if there is none: a cache would give that answer to a script of an allowed one
	if r.Method == http.MethodOptions {
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	}
	origins, methods := r.Header["Origin"], r.Header["Access-Control-Request-Method"]
	preflight := r.Method == http.MethodOptions && len(origins) > 0 && len(methods) > 0
	allowed := len(origins) == 1 && p.allows(origins[0])
	if preflight && !(allowed && p.method(methods) && p.fields(r.Header["Access-Control-Request-Headers"])) {
		problem.Abort(c, problem.Details{
			Status: http.StatusForbidden,
			Detail: "A script of this origin may not send such a request.",
		})
		return
	}
	if allowed {
		h.Set("Access-Control-Allow-Origin", p.allowOrigin(origins[0]))
		set(h, "Access-Control-Allow-Credentials", p.credentials)
	}
	if preflight {
		set(h, "Access-Control-Allow-Methods", p.allowMethods)
		set(h, "Access-Control-Allow-Headers", p.allowHeaders)
		set(h, "Access-Control-Max-Age", p.maxAge)
		c.AbortWithStatus(http.StatusNoContent) // authenticate would ask it for a token, which it never has
	} else if allowed {
		set(h, "Access-Control-Expose-Headers", p.exposeHeaders)
	}
	//workshop:end
}

// Match reports whether origin, as it stands in a request's Origin, fits
// pattern, which is one of Config's Origins and has no fault.
//
// They are the same, octet for octet, unless pattern has a "*": "*" alone fits
// everything, also "null". In "https://*.shop.test:8443", it stands for one label or
// more, each 1 to 63 letters (lower case), digits, "-" or "_", with dots between
// them. So "https://shop.test:8443" itself does not fit, nor does
// "https://evil-shop.test:8443".
func Match(pattern, origin string) bool {
	//workshop:begin return false
	//workshop:todo Cut the pattern at its "*". What stands in front of it must begin the origin,
	//workshop:todo what stands behind it, with its dot, must end it. Each label of what is left
	//workshop:todo between them must be one (isLabel).
	front, back, wildcard := strings.Cut(pattern, "*")
	if !wildcard || pattern == "*" {
		return wildcard || origin == pattern
	}
	rest, ok := strings.CutPrefix(origin, front)
	if !ok {
		return false
	}
	labels, ok := strings.CutSuffix(rest, back) // of the rest: front and back must not share octets
	if !ok {
		return false
	}
	for label := range strings.SplitSeq(labels, ".") {
		if !isLabel(label) {
			return false // "https://evil.test/.shop.test", and "https://.shop.test"
		}
	}
	return true
	//workshop:end
}

// isLabel reports whether s is one label of a host, as a browser writes it.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for _, b := range []byte(s) {
		if !('a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}

// set sets a field, unless value is empty.
func set(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}
