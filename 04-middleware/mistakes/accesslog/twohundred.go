//go:build ignore

// It believes gin's status also when the handler has panicked before it answered.
// The log says 200, of a request that got nothing.
//
//workshop:caught-by TestNew/says_that_nothing_was_answered
//workshop:says Its Written tells whether an answer was begun
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
		if returned && !c.Writer.Written() && status == http.StatusOK && errors.Is(client.Err(), context.Canceled) {
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
