//go:build ignore

// It goes on to guess when Expires cannot be read. But an origin that sends Expires: 0
// wants to say that the response has expired, and it gets a guess of up to a day.
//
//workshop:caught-by TestLifetime/is_0_for_Expires_that_is_no_date
//workshop:says it has expired already
package freshness

import (
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func Lifetime(r *httpcache.Response) time.Duration {
	d := httpcache.ResponseDirectives(r.Header)
	if d.Unqualified("no-cache") {
		return 0
	}
	for _, name := range []string{"s-maxage", "max-age"} {
		if d.Has(name) {
			lifetime, _ := d.Seconds(name)
			return lifetime
		}
	}
	if expires, ok := date(r, "Expires"); ok && !d.Targeted() {
		return span(sent(r), expires)
	}
	modified, ok := date(r, "Last-Modified")
	if !ok || !httpcache.HeuristicallyCacheable(r.Status) && !d.Has("public") {
		return 0
	}
	return min(span(modified, sent(r))/10, MaxHeuristic)
}
