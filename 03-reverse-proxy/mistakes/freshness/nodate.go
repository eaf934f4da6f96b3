//go:build ignore

// It believes Age alone, and where there is none, that the response is new. But not
// every cache on the way sends Age. Date tells, too, how old it was when it came.
//
//workshop:caught-by TestAge/counts_from_Date_where_no_Age_is_said
//workshop:says 200 s old by its Date
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
	return said + span(r.Received, now)
}
