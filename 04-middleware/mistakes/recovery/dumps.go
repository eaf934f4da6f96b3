//go:build ignore

// It logs the request that met the panic, with its header, to help who looks for the
// fault. With it the customer's token gets into the log, and into each of its copies.
//
//workshop:caught-by TestNew/logs_nothing_that_the_client_sent
//workshop:says the panic's value, the stack and the ID of the request are enough
package recovery

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
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
		asked, _ := httputil.DumpRequest(c.Request, false)
		log.LogAttrs(ctx, slog.LevelError, "panic", id,
			slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())),
			slog.String("asked", string(asked)))
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
