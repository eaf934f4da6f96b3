// Package accesslog writes one line about each request, when it is over.
//
// It is the first thing that an operator asks for, and the last that may hold a
// secret: logs are copied, kept for years and read by many. So it says what was
// done and how it ended, and nothing that the client sent in confidence: no
// header, no body, no query. Nor the path: a route, as /orders/:id, can be
// counted, whereas paths are as many as there are orders, and some hold a
// secret, too (/reset/8f2c…). In the story, the book at the door: who came when,
// for what, and whether they were served. Not what they whispered.
//
// It stands outside of recovery, so that a panic has become a 500 by the time
// that the line is written.
//
// Left out: a status of 101. A handler that has taken over the connection
// (Hijack) logs for itself. And the errors that handlers note by c.Error: their
// text may hold what a client sent in confidence, so whoever notes some logs them
// in lines of their own, with this line's request_id. Chapter 5's API does.
//
// Source: nginx, for 499.
package accesslog

import (
	"cmp"
	"log/slog"

	"github.com/gin-gonic/gin"
)

// Config is what a bouncer of this kind works with.
type Config struct {
	// Log gets the lines. nil means slog.Default(), as it is when New is called.
	Log *slog.Logger
}

// New returns a handler that calls those behind it, and then writes one line,
// "request", with these attributes:
//
//	method      the request's
//	route       the pattern that matched, c.FullPath(); empty if none did
//	status      the answer's; where there is none: 0 if those behind panicked, and
//	            otherwise 499 if the client has left
//	bytes       of the answer's body, as far as it was written; 0 and not -1 if it has none
//	duration    from the moment when this handler was called
//	request_id  as request.ID says
//	client      the client's IP address, c.ClientIP()
//	subject     who it was, as request.From says; absent if nobody was authenticated
//	aborted     true if those behind did not return, but panicked; otherwise absent
//
// There is an answer if it was begun (c.Writer.Written), or if a status other than
// 200 was set, which gin has yet to send. When those behind have panicked, gin sends
// nothing any more: only what was begun counts. The client has left if the context
// that the request came with was canceled (context.Canceled, and not a deadline). The
// one that it has afterwards says nothing of that: whoever made it, as deadline does,
// has ended it, too. The line tells of this, and the answer is not changed.
//
// Of what the client sent, there is nothing else in it. Its level is Error if
// the status is 500 or above, otherwise Warn if it was aborted, otherwise Info:
// a client's mistakes are no faults of ours.
//
// A panic is not stopped: it goes on as it came, when the line is written.
//
// There is nothing in c that could be wrong. The error is nil.
func New(c Config) (gin.HandlerFunc, error) {
	log := cmp.Or(c.Log, slog.Default())
	return func(c *gin.Context) { handle(c, log) }, nil
}

// handle does what New says, with that log.
func handle(c *gin.Context, log *slog.Logger) {
	// TODO(accesslog): Note the time, and defer a function that writes the line (log.LogAttrs), so
	// that it also runs in a panic. Then call c.Next(), and note that it returned.
	// All that is told is asked for in the deferred function: before Next, nothing
	// of it is known. One thing is kept from before: the context that the request
	// came with, which tells whether the client has left.
	// The reference imports, besides what stands above: "clicktocode.example/04-middleware/request", "context", "errors", "net/http", "time".
	c.Next()
}
