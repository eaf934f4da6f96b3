//go:build ignore

// It answers 429, and returns. But in gin, returning means to go on: the handler
// behind is called all the same, does its work, and appends its answer to the
// refusal.
//
//workshop:caught-by TestLimit/does_not_call_the_handler_for_who_is_refused
//workshop:says gin goes on with the next handler
package ratelimit

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/problem"
)

func (l *limiter) handle(c *gin.Context) {
	var wait time.Duration
	l.buckets.With(Key(l.client(c)), func(bucket *rate.Limiter) {
		t := l.now()
		r := bucket.ReserveN(t, 1)
		if wait = r.DelayFrom(t); wait > 0 {
			r.CancelAt(t)
		}
	})
	if wait > 0 {
		c.Header("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
		problem.Write(c.Writer, problem.Details{Status: http.StatusTooManyRequests})
	}
}
