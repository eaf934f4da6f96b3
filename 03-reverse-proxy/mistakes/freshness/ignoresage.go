//go:build ignore

// It does not look at Age. What spent an hour in a cache on the way counts as new
// here, and through a few caches in a row a response of a minute's lifetime lives on
// for as many minutes.
//
//workshop:caught-by TestAge/adds_what_Age_says
//workshop:says Age says how old it was when it came
package freshness

import (
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func Age(r *httpcache.Response, now time.Time) time.Duration {
	said := span(r.Requested, r.Received)
	seen := span(sent(r), r.Received)
	return max(said, seen) + span(r.Received, now)
}
