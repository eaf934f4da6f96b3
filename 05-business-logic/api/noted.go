package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

// noted returns a handler that logs the errors which those behind have noted by
// c.Error, one line each. Answers never say what went wrong inside; without these
// lines, nobody could find out. The request's ID leads from one to the other.
//
// The level is Error where the fault is ours (5xx), and Warn where it is the
// client's; where the client has left, it is nobody's, and Info.
func noted(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() { // deferred: what was noted before a panic may be its reason
			ctx, level := c.Request.Context(), slog.LevelWarn
			switch {
			case errors.Is(ctx.Err(), context.Canceled):
				level = slog.LevelInfo
			case c.Writer.Status() >= http.StatusInternalServerError:
				level = slog.LevelError
			}
			for _, e := range c.Errors {
				log.LogAttrs(ctx, level, "fault",
					slog.String("route", c.FullPath()), slog.String("request_id", request.ID(ctx)), slog.Any("error", e.Err))
			}
		}()
		c.Next()
	}
}

// unavailable answers 503, and notes why: err. Nobody reads it if the client has left.
func unavailable(c *gin.Context, err error, detail string) {
	_ = c.Error(err)
	if errors.Is(c.Request.Context().Err(), context.Canceled) {
		c.AbortWithStatus(499) // for the log, in nginx's way: nothing has broken here
		return
	}
	c.Header("Retry-After", "5")
	problem.Abort(c, problem.Details{
		Type: problems + "unavailable", Title: "Not available at the moment", Status: http.StatusServiceUnavailable, Detail: detail,
	})
}

// problems is where the types of problems stand, as package controller has it.
const problems = "https://shop.test/problems/"
