//go:build ignore

// It writes 499 whenever the client has left in the end. But an answer that was there
// before tells what was done: an order was made, and the log says that it was not.
//
//workshop:caught-by TestNew/tells_an_answer_though_the_client_left
//workshop:says whoever hears of it
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
		case errors.Is(client.Err(), context.Canceled):
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
