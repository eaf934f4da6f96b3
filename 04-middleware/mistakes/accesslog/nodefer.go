//go:build ignore

// It writes the line behind c.Next(), where nothing runs when a handler panics.
// The requests that went wrong most are missing from the log.
//
//workshop:caught-by TestNew/writes_a_line_when_a_panic_goes_through
//workshop:says What stands behind c.Next() does not run then; what is deferred does
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
	start, client := time.Now(), c.Request.Context()
	c.Next()
	status, level := c.Writer.Status(), slog.LevelInfo
	if !c.Writer.Written() && status == http.StatusOK && errors.Is(client.Err(), context.Canceled) {
		status = 499
	}
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	ctx := c.Request.Context()
	attrs := []slog.Attr{
		slog.String("method", c.Request.Method),
		slog.String("route", c.FullPath()),
		slog.Int("status", status),
		slog.Int("bytes", max(0, c.Writer.Size())),
		slog.Duration("duration", time.Since(start)),
		slog.String("request_id", request.ID(ctx)),
		slog.String("client", c.ClientIP()),
	}
	if p := request.From(ctx); p != nil {
		attrs = append(attrs, slog.String("subject", p.Subject))
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}
