//go:build ignore

// It asks the bucket by Allow, which reads the computer's own clock, and not the
// one of the Config. Then nothing that has to do with time can be tested, and a
// test must wait for real.
//
//workshop:caught-by TestLimit/gives_a_token_back_in_its_time
//workshop:says the time that Config.Now tells
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
	var allowed bool
	var wait time.Duration
	l.buckets.With(Key(l.client(c)), func(bucket *rate.Limiter) {
		if allowed = bucket.Allow(); !allowed {
			wait = time.Duration((1 - bucket.Tokens()) / float64(bucket.Limit()) * float64(time.Second))
		}
	})
	if allowed {
		return
	}
	c.Header("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	problem.Abort(c, problem.Details{Status: http.StatusTooManyRequests})
}
