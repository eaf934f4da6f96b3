//go:build ignore

// It cuts the TTL off to whole seconds. Of 300 ms, nothing is left, and 0 tells
// memcached to keep the item for ever: the shortest of all TTLs becomes the longest.
//
//workshop:caught-by TestExpiration/is_never_for_ever
//workshop:says less than a second must not become 0
package cacheaside

import "time"

func Expiration(ttl time.Duration, jitter, random float64) int32 {
	ttl = min(ttl, longest)
	ttl -= time.Duration(float64(ttl) * jitter * random)
	return int32(ttl / time.Second)
}
