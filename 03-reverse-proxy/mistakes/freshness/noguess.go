//go:build ignore

// It never guesses where there is an Expires. But beside a targeted field Expires is
// to be ignored: it is as if it were not there, and it cannot forbid a guess.
//
//workshop:caught-by TestLifetime/guesses_where_Expires_is_ignored
//workshop:says nor a reason not to guess one
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
	if r.Header.Values("Expires") != nil {
		expires, ok := date(r, "Expires")
		if !ok || d.Targeted() {
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
