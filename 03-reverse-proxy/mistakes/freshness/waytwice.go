//go:build ignore

// It adds the time from Requested to Received to both, to what Age says and to the
// time from Date to Received. But the second ends at Received: the way is in it
// already, and counts twice.
//
//workshop:caught-by TestAge/counts_the_way_once_by_Date
//workshop:says are a part of it
package freshness

import (
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func Age(r *httpcache.Response, now time.Time) time.Duration {
	first, _, _ := strings.Cut(r.Header.Get("Age"), ",")
	said, _ := httpcache.ParseSeconds(strings.TrimSpace(first))
	seen := span(sent(r), r.Received)
	return max(said, seen) + span(r.Requested, r.Received) + span(r.Received, now)
}
