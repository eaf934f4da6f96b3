//go:build ignore

// It reserves a token for a request that it refuses, and does not give it back.
// The request is gone, the token is spoken for: with each refusal, the next free
// one moves farther away, and a client that asks too often is locked out for as
// long as it has asked.
//
//workshop:caught-by TestLimit/does_not_put_off_the_token_of_who_was_refused
//workshop:says takes no token, also none of those to come
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
		wait = bucket.ReserveN(t, 1).DelayFrom(t)
	})
	if wait == 0 {
		return
	}
	c.Header("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	problem.Abort(c, problem.Details{Status: http.StatusTooManyRequests})
}
