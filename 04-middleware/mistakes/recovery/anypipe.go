//go:build ignore

// It takes every broken pipe for that of the client. When the database goes
// down, each request breaks such a pipe: nobody gets an answer, and the log says
// that all is well.
//
//workshop:caught-by TestNew/takes_a_broken_database_for_a_fault
//workshop:says So it was another connection that broke
package recovery

import (
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

func handle(c *gin.Context, log *slog.Logger) {
	ctx := c.Request.Context()
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler {
			panic(v)
		}
		id := slog.String("request_id", request.ID(ctx))
		if err, ok := v.(error); ok && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
			log.LogAttrs(ctx, slog.LevelInfo, "client left", id, slog.Any("error", v))
			panic(http.ErrAbortHandler)
		}
		log.LogAttrs(ctx, slog.LevelError, "panic", id,
			slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		problem.Abort(c, problem.Details{
			Status:   http.StatusInternalServerError,
			Detail:   "Something went wrong on our side.",
			Instance: request.ID(ctx),
		})
	}()
	c.Next()
}
