//go:build ignore

// It takes max-age where there is one, and s-maxage only where there is none. Those
// who send both mean max-age for browsers and s-maxage for caches that serve many:
// this cache would keep for a minute what it was told to keep for an hour, or the
// other way round.
//
//workshop:caught-by TestLifetime/prefers_s-maxage_to_max-age
//workshop:says there it overrides max-age
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
	for _, name := range []string{"max-age", "s-maxage"} {
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
		return span(sent(r), expires)
	}
	modified, ok := date(r, "Last-Modified")
	if !ok || !httpcache.HeuristicallyCacheable(r.Status) && !d.Has("public") {
		return 0
	}
	return min(span(modified, sent(r))/10, MaxHeuristic)
}
