//go:build ignore

// It writes the line, and then lets the handlers run. What it tells of the
// answer is what gin starts with: 200, for everything.
//
//workshop:caught-by TestNew/tells_the_status
//workshop:says Before it has run, nobody knows
package accesslog

import (
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

func handle(c *gin.Context, log *slog.Logger) {
	start := time.Now()
	ctx := c.Request.Context()
	log.LogAttrs(ctx, slog.LevelInfo, "request",
		slog.String("method", c.Request.Method),
		slog.String("route", c.FullPath()),
		slog.Int("status", c.Writer.Status()),
		slog.Int("bytes", max(0, c.Writer.Size())),
		slog.Duration("duration", time.Since(start)),
		slog.String("request_id", request.ID(ctx)),
		slog.String("client", c.ClientIP()))
	c.Next()
}
