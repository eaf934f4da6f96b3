//go:build ignore

// It asks for the time before With. Until it has the bucket, another request may have
// been there, with a later time: the bucket is set back, and the time in between is
// counted twice.
//
//workshop:caught-by TestLimit/keeps_the_clock_and_the_bucket_together
//workshop:says counts them twice
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
	t := l.now()
	var wait time.Duration
	l.buckets.With(Key(l.client(c)), func(bucket *rate.Limiter) {
		r := bucket.ReserveN(t, 1)
		if wait = r.DelayFrom(t); wait > 0 {
			r.CancelAt(t)
		}
	})
	if wait == 0 {
		return
	}
	c.Header("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	problem.Abort(c, problem.Details{Status: http.StatusTooManyRequests})
}
