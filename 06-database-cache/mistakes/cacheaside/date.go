//go:build ignore

// It writes any TTL as seconds. But memcached takes more seconds than 30 days have
// for a date, counted from 1970. So 31 days are over before they begin, and nothing
// is ever kept.
//
//workshop:caught-by TestExpiration/is_never_a_date
//workshop:says are a date for memcached
package cacheaside

import (
	"math"
	"time"
)

func Expiration(ttl time.Duration, jitter, random float64) int32 {
	ttl -= time.Duration(float64(ttl) * jitter * random)
	return int32(max(1, math.Ceil(ttl.Seconds())))
}
