//go:build ignore

// It takes a lifetime of 0 for none, and looks further. max-age=0 says that the
// response is to be checked each time, and here it gets the hour of an Expires that
// was meant for caches that are older than max-age.
//
//workshop:caught-by TestLifetime/takes_0_for_an_answer
//workshop:says 0 is a lifetime like others
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
		lifetime, ok := d.Seconds(name)
		if d.Has(name) && (!ok || lifetime > 0) {
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
