//go:build ignore

// It keeps one bucket for all. Each client alone is limited then, but one that
// asks in a loop takes all tokens, and everybody else is refused: what the limit
// was to prevent, it now does itself.
//
//workshop:caught-by TestLimit/keeps_clients_apart
//workshop:says each client has a bucket of its own
package ratelimit

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/problem"
)

func (l *limiter) handle(c *gin.Context) {
	var wait time.Duration
	l.buckets.With(netip.Prefix{}, func(bucket *rate.Limiter) {
		t := l.now()
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
