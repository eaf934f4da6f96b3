//go:build ignore

// It looks for s-maxage before it looks for no-cache. Who sends both wants the
// response to be kept that long, and to be asked about each time: here nobody asks.
//
//workshop:caught-by TestLifetime/is_0_with_no-cache
//workshop:says whatever else says how long it would be fresh
package freshness

import (
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func Lifetime(r *httpcache.Response) time.Duration {
	d := httpcache.ResponseDirectives(r.Header)
	if d.Has("s-maxage") {
		lifetime, _ := d.Seconds("s-maxage")
		return lifetime
	}
	if d.Unqualified("no-cache") {
		return 0
	}
	if d.Has("max-age") {
		lifetime, _ := d.Seconds("max-age")
		return lifetime
	}
	if r.Header.Values("Expires") != nil && !d.Targeted() {
		expires, ok := date(r, "Expires")
		if !ok {
			return 0
		}
		return span(sent(r), expires)
	}
	modified, ok := date(r, "Last-Modified")
	if !ok || !httpcache.HeuristicallyCacheable(r.Status) && !d.Has("public") {
		return 0
	}
	return min(span(modified, sent(r))/10, MaxHeuristic)
}
