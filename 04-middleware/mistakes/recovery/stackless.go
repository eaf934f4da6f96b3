//go:build ignore

// It logs what was panicked with, and not where. "index out of range" is true of
// ten thousand lines.
//
//workshop:caught-by TestNew/logs_where_it_happened
//workshop:says Wanted: the stack, by runtime/debug
package recovery

import (
	"fmt"
	"log/slog"
	"net/http"

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
		if ClientLeft(ctx, v) {
			log.LogAttrs(ctx, slog.LevelInfo, "client left", id, slog.Any("error", v))
			panic(http.ErrAbortHandler)
		}
		log.LogAttrs(ctx, slog.LevelError, "panic", id,
			slog.String("panic", fmt.Sprint(v)))
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
