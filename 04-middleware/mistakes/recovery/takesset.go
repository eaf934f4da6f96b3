//go:build ignore

// It takes a status that was only set for an answer that was begun. But gin has sent
// nothing yet: the client could have been told, and gets a cut connection instead.
//
//workshop:caught-by TestNew/answers_500_though_another_status_was_set
//workshop:says So nothing is sent yet
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
		if c.Writer.Written() || c.Writer.Status() != http.StatusOK {
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
