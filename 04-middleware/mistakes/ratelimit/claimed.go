//go:build ignore

// It takes the client's address from X-Forwarded-For. Everybody can send that
// field: whoever writes another address into it each time has a full bucket each
// time, and there is no limit.
//
//workshop:caught-by TestLimit/does_not_believe_what_a_client_says_of_itself
//workshop:says everybody can send these fields
package ratelimit

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/problem"
)

func (l *limiter) handle(c *gin.Context) {
	addr := l.client(c)
	first, _, _ := strings.Cut(c.GetHeader("X-Forwarded-For"), ",")
	if claimed, err := netip.ParseAddr(first); err == nil {
		addr = claimed
	}
	var wait time.Duration
	l.buckets.With(Key(addr), func(bucket *rate.Limiter) {
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
