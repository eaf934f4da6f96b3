//go:build ignore

// It answers within With. Only one use runs at a time there, and sending takes as long
// as the client likes: one that is refused and reads nothing keeps everybody out.
//
//workshop:caught-by TestLimit/lets_nobody_wait_for_the_refusal_of_another
//workshop:says The refusal is sent within With
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
	l.buckets.With(Key(l.client(c)), func(bucket *rate.Limiter) {
		t := l.now()
		r := bucket.ReserveN(t, 1)
		wait := r.DelayFrom(t)
		if wait == 0 {
			return
		}
		r.CancelAt(t)
		c.Header("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
		problem.Abort(c, problem.Details{
			Status: http.StatusTooManyRequests,
			Detail: "Too many requests in a short time. Wait for as many seconds as Retry-After says.",
		})
	})
}
