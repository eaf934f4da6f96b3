//go:build ignore

// It counts Expires from when the response came, and not from its Date. Expires is
// by the origin's clock. If that is an hour behind ours, everything has expired when
// it comes; if it is ahead, everything stays fresh for an hour too long.
//
//workshop:caught-by TestLifetime/is_Expires_less_Date
//workshop:says by ours they may be an hour off
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
	if r.Header.Values("Expires") != nil && !d.Targeted() {
		expires, ok := date(r, "Expires")
		if !ok {
			return 0
		}
		return span(r.Received, expires)
	}
	modified, ok := date(r, "Last-Modified")
	if !ok || !httpcache.HeuristicallyCacheable(r.Status) && !d.Has("public") {
		return 0
	}
	return min(span(modified, sent(r))/10, MaxHeuristic)
}
