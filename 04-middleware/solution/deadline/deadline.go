// Package deadline bounds the time that a request may take.
//
// Whatever a handler waits for, a database, a payment, may be slow today. Without
// a bound, requests wait, more arrive, and each holds memory and a connection: a
// slow database stops the shop. With one, the client gets its answer in time, even
// if it is that there is none. In the story, a table that has waited for an hour
// is told so, and can leave.
//
// The deadline is cooperative. It is set in the request's context, and whoever
// waits for something has to look at that: database/sql, net/http's client and
// most others do, if they are given it. A handler that computes, or that sleeps,
// does not notice, and is not stopped: Go has no way to stop a goroutine from
// outside.
//
// http.TimeoutHandler goes another way: it lets the handler run in a goroutine of
// its own, and answers in its place when the time is up, while it goes on. With
// gin, that would be a fault. A gin.Context belongs to a pool, and is given to the
// next request as soon as its own has been answered: a handler that still runs
// would read that one's header, and write into that one's answer. So here the
// handler is waited for, always.
//
// Left out: a client that sends its body slowly. A Read of the body does not look
// at the context; net/http's Server.ReadTimeout bounds it, and here the edge in
// front. A stream without end (SSE) needs a route without this bouncer.
//
// Source: package context; RFC 9110 §15.6.5 (504).
package deadline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

// DefaultTimeout is the bound where none is configured.
const DefaultTimeout = 10 * time.Second

// Config is what a bouncer of this kind works with.
type Config struct {
	// Timeout is how long those behind may take, from the moment when the handler
	// is called. 0 means DefaultTimeout; it must not be negative.
	Timeout time.Duration
}

// New returns a handler that replaces the request's context by one that ends after
// c.Timeout, and calls those behind it. It has earlier ends, too: when the context
// that it came with does, by a deadline of its own or because the client has left;
// and when those behind have returned.
//
// If they return when the deadline is over, and there is no answer, it is a problem
// with status 504. An answer there is, and it is left alone, if it was begun
// (c.Writer.Written), or if a status other than 200 was set, which gin has yet to
// send: 204, for what was done in spite of all. It may have come late, but it is
// true, whereas 504 leaves open what happened.
//
// A client that left is none that waits too long: there is no answer then. What
// counts is what ended the context that is made here first; those behind may have put
// others into the request.
//
// The handler returns when those behind have, and no sooner: none of them runs on
// when the request is over. A panic passes through, and nothing is answered then: that
// is recovery's affair. What those behind have noted in the request's context stays
// there, for those before, who write the log.
//
// err tells that c.Timeout is negative.
func New(c Config) (gin.HandlerFunc, error) {
	switch {
	case c.Timeout < 0:
		return nil, fmt.Errorf("deadline: Timeout is %s, must not be negative", c.Timeout)
	case c.Timeout == 0:
		c.Timeout = DefaultTimeout
	}
	return bouncer{c.Timeout}.handle, nil
}

type bouncer struct{ timeout time.Duration }

func (b bouncer) handle(c *gin.Context) {
	//workshop:begin
	//workshop:todo Make a context with b.timeout, from the one that the request has. Whoever makes
	//workshop:todo one ends it, in a panic, too. Put it into the request (request.Note), and call
	//workshop:todo those behind (c.Next). Then: what has ended the context, if anything did, and
	//workshop:todo is there an answer? (Imports: context, errors, net/http, problem, request)
	ctx, cancel := context.WithTimeout(c.Request.Context(), b.timeout)
	defer cancel() // or each request would leave a timer behind, and whatever waits for ctx
	request.Note(c, ctx)
	c.Next() // and not in a goroutine beside: c is given to another request when this one ends
	answered := c.Writer.Written() || c.Writer.Status() != http.StatusOK
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && !answered {
		problem.Abort(c, problem.Details{
			Status: http.StatusGatewayTimeout,
			Detail: "This took too long, and was given up. What was asked for may have been done all the same.",
		})
	}
	//workshop:end
}
