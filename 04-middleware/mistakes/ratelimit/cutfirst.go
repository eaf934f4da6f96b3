//go:build ignore

// It cuts the wait to whole seconds, and then looks whether there is any. Who has to
// wait for less than a second gets in at once: a bucket of ten a second has no limit.
//
//workshop:caught-by TestLimit/gives_no_token_back_before_its_time
//workshop:says cut to whole seconds
package ratelimit

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/problem"
)

func (l *limiter) handle(c *gin.Context) {
	var seconds int
	l.buckets.With(Key(l.client(c)), func(bucket *rate.Limiter) {
		t := l.now()
		r := bucket.ReserveN(t, 1)
		if seconds = int(r.DelayFrom(t).Seconds()); seconds > 0 {
			r.CancelAt(t)
		}
	})
	if seconds == 0 {
		return
	}
	c.Header("Retry-After", strconv.Itoa(seconds+1))
	problem.Abort(c, problem.Details{Status: http.StatusTooManyRequests})
}
