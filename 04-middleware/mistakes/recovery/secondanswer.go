//go:build ignore

// It sends the problem whether or not an answer was begun. The status cannot be
// changed any more, so the problem's text lands in the middle of the menu.
//
//workshop:caught-by TestNew/adds_nothing_to_an_answer_that_was_begun
//workshop:says two answers in one are none
package recovery

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

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
			slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
		c.Abort()
		problem.Write(c.Writer, problem.Details{
			Status:   http.StatusInternalServerError,
			Detail:   "Something went wrong on our side.",
			Instance: request.ID(ctx),
		})
	}()
	c.Next()
}
