//go:build ignore

// It adds stale-while-revalidate to the lifetime, for that long the response may be
// used, too. But only while the origin is asked: what counts as fresh is used without
// a question, and the origin is asked half a minute too late.
//
//workshop:caught-by TestLifetime/is_as_long_with_stale-while-revalidate
//workshop:says They make it no fresher
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
			stale, _ := d.Seconds("stale-while-revalidate")
			return min(lifetime+stale, httpcache.MaxSeconds)
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
