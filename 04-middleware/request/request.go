// Package request is the contract of chapter 4: what the bouncers note about a
// request for those who stand behind them. The notes travel in the request's
// context, so that what knows nothing of gin can read them, too.
//
// A request passes them in this order: requestid gives it a name, accesslog
// will tell how it ended, recovery catches what falls, deadline bounds its
// time; then cors, ratelimit and validate look at it from outside,
// authenticate asks who it is, and authorize whether it may. In the story,
// these are the bouncers between the gate and the kitchen.
package request

import (
	"context"
	"slices"

	"github.com/gin-gonic/gin"
)

// Principal is who makes a request, as authenticate has found out. It is not
// changed once it is noted.
type Principal struct {
	// Subject identifies who it is, for ever, and is never reused: a token's "sub".
	Subject string
	// Scopes are what it may do: "orders:write".
	Scopes []string
}

// May reports whether p holds scope. nil is nobody, and may nothing.
func (p *Principal) May(scope string) bool { return p != nil && slices.Contains(p.Scopes, scope) }

type idKey struct{}
type principalKey struct{}

// WithID notes the request's ID.
func WithID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, idKey{}, id)
}

// ID is the request's ID, or empty if none is noted. ctx may be a request's
// context, but not a *gin.Context itself: use its Request's.
func ID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}

// WithPrincipal notes who makes the request.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From is who makes the request; nil means that nobody has been authenticated.
func From(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}

// Note replaces the context of c's request, as in
//
//	request.Note(c, request.WithID(c.Request.Context(), id))
func Note(c *gin.Context, ctx context.Context) { c.Request = c.Request.WithContext(ctx) }
