//go:build ignore

// It cuts the wait to whole seconds. With 1.5 s to wait, the client is told to
// come in 1, and with 0.3 s, at once: it does what it was told, and is refused
// again.
//
//workshop:caught-by TestLimit/rounds_the_wait_up
//workshop:says comes too early
package ratelimit

import (
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
	if wait == 0 {
		return
	}
	c.Header("Retry-After", strconv.Itoa(int(wait.Seconds())))
	problem.Abort(c, problem.Details{Status: http.StatusTooManyRequests})
}
