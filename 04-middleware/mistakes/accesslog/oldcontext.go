//go:build ignore

// It asks for the request's context before the handlers run, and looks into it
// when they are done. But a context does not change: authenticate, behind it,
// puts another one into the request, and this one never hears of it.
//
//workshop:caught-by TestNew/names_who_it_was
//workshop:says has the old one, in which nobody is noted
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
	ctx := c.Request.Context()
	defer func() {
		status, level := c.Writer.Status(), slog.LevelInfo
		switch begun := c.Writer.Written(); {
		case !begun && !returned:
			status = 0
		case !begun && status == http.StatusOK && errors.Is(client.Err(), context.Canceled):
			status = 499
		}
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
