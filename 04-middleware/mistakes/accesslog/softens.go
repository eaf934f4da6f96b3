//go:build ignore

// It asks last whether the request was aborted, and so a 500 that was cut off as well
// becomes a Warn. The worst of our faults is the one that wakes nobody.
//
//workshop:caught-by TestNew/is_an_error_also_where_it_was_aborted
//workshop:says a fault of ours stays one
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
	start, client, returned := time.Now(), c.Request.Context(), false
	defer func() {
		status, level := c.Writer.Status(), slog.LevelInfo
		switch begun := c.Writer.Written(); {
		case !begun && !returned:
			status = 0
		case !begun && status == http.StatusOK && errors.Is(client.Err(), context.Canceled):
			status = 499
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
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		if !returned {
			attrs, level = append(attrs, slog.Bool("aborted", true)), slog.LevelWarn
		}
		log.LogAttrs(ctx, level, "request", attrs...)
	}()
	c.Next()
	returned = true
}
