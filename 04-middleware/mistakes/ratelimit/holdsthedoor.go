//go:build ignore

// It calls the next handler within With. Only one use runs at a time there, so
// every request waits until the one before it is through: a single slow handler
// stops the whole service.
//
//workshop:caught-by TestLimit/lets_nobody_wait_for_the_handler_of_another
//workshop:says called within With
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
			c.Next()
			return
		}
		r.CancelAt(t)
		c.Header("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
		problem.Abort(c, problem.Details{Status: http.StatusTooManyRequests})
	})
}
