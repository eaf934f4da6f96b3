// Package authorize asks whether the one who makes a request may do so: by the
// scopes of the token, and by whose the thing is that is asked for.
//
// Who it is was found out before, by authenticate, and request.From tells. That
// someone is known does not mean that they may: Ada is a guest, and still does
// not eat from Bob's plate. In the story, this bouncer stands inside, at the
// table.
//
// The checks are as near to the route as they can be, one line beside each, so
// that a route without one can be seen. Scopes alone would not do: "orders:read"
// is held by all guests, and says nothing of whose orders. To forget the second
// question is the most common fault of all in APIs (OWASP API1:2023).
//
// Source: RFC 6750 §3.1 (insufficient_scope), RFC 9110 §15.5 (401, 403, and 404
// in its place), RFC 6749 §3.3 (scopes).
package authorize

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

// challenge is what the field WWW-Authenticate says where nobody was
// authenticated (RFC 6750 §3).
const challenge = `Bearer realm="shop.test"`

// Scope returns a handler that calls those behind it only if who makes the
// request holds scope, letter by letter. "orders" is not "orders:write", and
// "orders:write-all" is not either.
//
// Others are refused with a problem. Where nobody was authenticated, its status
// is 401, with a challenge in WWW-Authenticate that has no error code. Somebody
// without the scope gets 403, and the challenge says insufficient_scope and which
// one is needed (RFC 6750 §3.1): they are known, so a token anew changes nothing
// unless it holds more.
//
// Scope panics, when routes are made and not when they are asked for, if scope
// is none (RFC 6749 §3.3): empty, or with a space, a quote or a control
// character in it.
func Scope(scope string) gin.HandlerFunc {
	if !valid(scope) {
		panic(fmt.Sprintf("authorize: %q is no scope", scope))
	}
	return func(c *gin.Context) {
		// TODO(authorize): Who is it (request.From)? Refuse nobody by unknown, and by problem.Abort
		// who does not hold scope (May), with the field WWW-Authenticate set before
		// (c.Header). Who may is left alone: the next handler has its turn.
		// The reference imports, besides what stands above: "clicktocode.example/04-middleware/request".
	}
}

// ErrNotFound is the error of Config.Of for what does not exist.
var ErrNotFound = errors.New("authorize: not found")

// Config says how Owner finds out whose a thing is.
type Config struct {
	// Of returns the subject of who owns the thing with this ID, as request.Principal
	// names it. An empty one is nobody's. The error wraps ErrNotFound if there is no
	// such thing, and any other means that it is not known now. It may be called by
	// many at once, and ends when ctx, the request's, is done. Required.
	Of func(ctx context.Context, id string) (subject string, err error)
	// Param is the route's parameter that holds the ID. Empty means "id", as in
	// /orders/:id.
	Param string
	// All is the scope whose holders may ask for anybody's, as the kitchen does.
	// Empty means that nobody may.
	All string
}

// Owner returns a handler that calls those behind it only if the thing that the
// request is about belongs to who makes it, or they hold c.All. Owners are
// compared as IDs are, octet by octet: "Ada" is not "ada", and an empty subject
// owns nothing, not even what is nobody's.
//
// Others are refused with a problem:
//
//   - Where nobody was authenticated, the status is 401, as Scope's is. c.Of is not
//     asked: strangers cost no look-up.
//   - Another's thing is 404, and so is one that does not exist. The two answers are
//     the same, header and body: 403 would tell that it exists, and by trying IDs
//     one could count the orders of the house (RFC 9110 §15.5.4).
//   - If c.Of fails otherwise, it is 503, and nothing of the error is in the answer.
//     It is noted by c.Error, for who logs. That something does not exist is no
//     fault, and is not noted.
//
// An owner that comes with an error is none, with ErrNotFound, too.
//
// For who holds c.All, c.Of is not asked: what does not exist is told by those
// behind.
//
// err tells of all that is wrong with c.
func Owner(c Config) (gin.HandlerFunc, error) {
	var faults []error
	if c.Of == nil {
		faults = append(faults, errors.New("authorize: Of is nil: who knows whose it is?"))
	}
	if c.All != "" && !valid(c.All) {
		faults = append(faults, fmt.Errorf("authorize: All is %q, which is no scope", c.All))
	}
	if c.Param == "" {
		c.Param = "id"
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return c.handle, nil
}

func (c Config) handle(g *gin.Context) {
	// TODO(authorize): Who is it (request.From)? Refuse nobody (unknown), let who holds c.All pass.
	// Then ask c.Of for the owner of g.Param(c.Param), and tell three cases apart:
	// theirs, not theirs or not there, and not known now.
}

// unknown refuses a request that nobody was authenticated for.
func unknown(c *gin.Context) {
	c.Header("WWW-Authenticate", challenge) // a 401 must have it: RFC 9110 §15.5.2
	problem.Abort(c, problem.Details{
		Status: http.StatusUnauthorized,
		Detail: "This needs a token: send one in the field Authorization.",
	})
}

// valid reports whether scope is a scope-token (RFC 6749 §3.3).
func valid(scope string) bool {
	return scope != "" && !strings.ContainsFunc(scope, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}
