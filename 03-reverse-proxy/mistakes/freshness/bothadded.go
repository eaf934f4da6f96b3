//go:build ignore

// It adds what Age says to what Date says. Both tell the same, how old the response
// was when it came. What passed another cache counts twice, and gets stale too soon.
//
//workshop:caught-by TestAge/takes_the_greater_of_Age_and_Date
//workshop:says not their sum
package freshness

import (
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func Age(r *httpcache.Response, now time.Time) time.Duration {
	first, _, _ := strings.Cut(r.Header.Get("Age"), ",")
	said, _ := httpcache.ParseSeconds(strings.TrimSpace(first))
	said += span(r.Requested, r.Received)
	seen := span(sent(r), r.Received)
	return said + seen + span(r.Received, now)
}
