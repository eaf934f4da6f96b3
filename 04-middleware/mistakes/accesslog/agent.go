//go:build ignore

// It writes down the client's program, too: the field User-Agent. That is text from a
// stranger, as long as they like, in every line, and it names people and their devices
// to all who read the log.
//
//workshop:caught-by TestNew/holds_nothing_else
//workshop:says which is none of New's list
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
			slog.String("user_agent", c.Request.UserAgent()),
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
