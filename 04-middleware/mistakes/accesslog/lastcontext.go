//go:build ignore

// It asks the context that the request has at the end whether the client has left. But
// deadline, behind it, has put one of its own there, and ended it when it was done: so
// every answer that gin has yet to send counts as one that nobody waited for.
//
//workshop:caught-by TestNew/takes_no_other_end_for_a_client_that_left
//workshop:says only the context says that the request came with
package accesslog

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

func handle(c *gin.Context, log *slog.Logger) {
	start, returned := time.Now(), false
	defer func() {
		status, level := c.Writer.Status(), slog.LevelInfo
		switch begun := c.Writer.Written(); {
		case !begun && !returned:
			status = 0
		case !begun && status == http.StatusOK && errors.Is(c.Request.Context().Err(), context.Canceled):
			status = 499
		}
		ctx := c.Request.Context()
		attrs := append(make([]slog.Attr, 0, 9),
			slog.String("method", c.Request.Method),
			slog.String("route", c.FullPath()),
			slog.Int("status", status),
			slog.Int("bytes", max(0, c.Writer.Size())),
			slog.Duration("duration", time.Since(start)),
			slog.String("request_id", request.ID(ctx)),
			slog.String("client", c.ClientIP()))
		if p := request.From(ctx); p != nil {
			attrs = append(attrs, slog.String("subject", p.Subject))
		}
		if !returned {
			attrs, level = append(attrs, slog.Bool("aborted", true)), slog.LevelWarn
		}
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		log.LogAttrs(ctx, level, "request", attrs...)
	}()
	c.Next()
	returned = true
}
