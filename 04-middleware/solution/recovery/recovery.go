// Package recovery turns a panic in a handler into an answer, where one can
// still be given, and into a cut connection where one was begun.
//
// A panic is a fault of ours, met by this one request. The others on the same
// process must not feel it, and the client is to hear that it is not to blame,
// but nothing of what went wrong inside: panics hold queries, paths and
// secrets. In the story, a waiter stumbles. One table gets an apology. Half a
// plate is not served as if it were the dish.
//
// It catches what falls in the handler's own goroutine. A panic in one that a
// handler started ends the process, and so does what is no panic but fatal: a
// map that is written twice at once, a stack without end.
//
// Source: net/http's Handler and ErrAbortHandler; RFC 9457 (problems); RFC 9112
// §8 (incomplete messages); golang/go #23643 and #28239.
package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"syscall"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

// Config is what a bouncer of this kind works with.
type Config struct {
	// Log gets the panics. nil means slog.Default(), as it is when New is called.
	Log *slog.Logger
}

// New returns a handler that calls those behind it, and recovers from their
// panics:
//
//   - http.ErrAbortHandler passes on: it is how a handler asks net/http to cut
//     the connection.
//   - A client that has left (see ClientLeft) is no fault of ours. It is logged at
//     Info, without a stack, and http.ErrAbortHandler takes the panic's place.
//   - Any other is logged at Error: the panic's value, the stack of where it
//     happened, and the request's ID, but no field and no query that the client sent:
//     its token is there. If the answer was not begun, it is a problem with status
//     500, the ID as its instance, and nothing from inside; no handler behind is
//     called any more. If it was begun, nothing is added, and http.ErrAbortHandler
//     takes the panic's place: so the connection is cut, and the client does not take
//     half an answer for a whole one. It was begun if its status was sent
//     (c.Writer.Written), with or without a body; one that was only set is forgotten.
//
// panic(nil) is a panic like others (a *runtime.PanicNilError). runtime.Goexit
// is none and cannot be stopped: net/http closes the connection.
//
// There is nothing in c that could be wrong. The error is nil.
func New(c Config) (gin.HandlerFunc, error) {
	log := cmp.Or(c.Log, slog.Default())
	return func(c *gin.Context) { handle(c, log) }, nil
}

// handle does what New says, with that log.
func handle(c *gin.Context, log *slog.Logger) {
	//workshop:begin c.Next()
	//workshop:todo Defer a function that recovers, then call c.Next(). Which of the three cases
	//workshop:todo is it? Each of them ends in a panic of http.ErrAbortHandler or in
	//workshop:todo problem.Abort, or in nothing at all if there was no panic.
	ctx := c.Request.Context() // now: a bouncer behind may put another in its place, which ends sooner
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler {
			panic(v) // swallowed, half an answer would be ended as if it were whole
		}
		id := slog.String("request_id", request.ID(ctx))
		if ClientLeft(ctx, v) {
			log.LogAttrs(ctx, slog.LevelInfo, "client left", id, slog.Any("error", v))
			panic(http.ErrAbortHandler)
		}
		log.LogAttrs(ctx, slog.LevelError, "panic", id,
			slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		problem.Abort(c, problem.Details{ // without Abort, gin would go on with the next handler
			Status:   http.StatusInternalServerError,
			Detail:   "Something went wrong on our side. If it happens again, tell us the instance.",
			Instance: request.ID(ctx),
		})
	}()
	c.Next()
	//workshop:end
}

// ClientLeft reports whether a panic's value v tells of a client that left
// before its answer was written: an error of a broken pipe, or of a connection
// that was reset, while ctx, the context of the request as net/http made it, is
// done. The error alone is not enough: a broken connection to a database has the
// same one, while the client still waits.
func ClientLeft(ctx context.Context, v any) bool {
	err, ok := v.(error)
	if !ok || ctx.Err() == nil {
		return false
	}
	const aborted, reset = syscall.Errno(10053), syscall.Errno(10054) // WSAECONNABORTED and WSAECONNRESET, on Windows
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, aborted) || errors.Is(err, reset)
}
