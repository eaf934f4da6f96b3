//go:build ignore

// It takes the bucket out of With, and uses it when others are let in again. Two
// requests of one client then look at the clock in one order, and take their tokens in
// the other: time that has gone by is counted twice. And a bucket that was forgotten
// meanwhile is used beside the new one.
//
//workshop:caught-by TestLimit/keeps_the_clock_and_the_bucket_together
//workshop:says use the bucket, within With
package ratelimit

import (
	"math"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/problem"
)

func (l *limiter) handle(c *gin.Context) {
	var bucket *rate.Limiter
	l.buckets.With(Key(l.client(c)), func(found *rate.Limiter) { bucket = found })
	t := l.now()
	r := bucket.ReserveN(t, 1)
	wait := r.DelayFrom(t)
	if wait > 0 {
		r.CancelAt(t)
	}
	if wait == 0 {
		return
	}
	c.Header("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	problem.Abort(c, problem.Details{Status: http.StatusTooManyRequests})
}
