// Package freshness says how long a stored response may be used without asking
// the origin, and how old it is by now. As long as it is younger than its
// lifetime it is fresh; then it is stale.
//
// Whoever keeps a copy must know when it is no longer good, and the one who knows
// is the one who made it. So the origin writes it on the response. In the story,
// the plate that the gatekeeper keeps at the door has a label: good for so long,
// cooked then. The cooling time of the way to the door counts, too.
//
// Source: RFC 9111 §4.2, with §5.1 (Age) and §5.3 (Expires), as a shared cache;
// RFC 9213 §2.2, for the targeted field that takes the place of both.
package freshness

import (
	"net/http"
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

// MaxHeuristic is the longest lifetime that is given to a response by guessing.
const MaxHeuristic = 24 * time.Hour

// Lifetime is how old r may become before it is stale: at least 0, at most
// httpcache.MaxSeconds. With 0 it is stale from the beginning. The first of these
// that is there decides (RFC 9111 §4.2.1):
//
//   - no-cache, if it is about the whole response: 0, for it must not be used
//     before the origin was asked, however young it is (§5.2.2.4);
//   - s-maxage, which is meant for caches that serve many, as this one;
//   - max-age;
//   - Expires, less Date: the clock of the origin is compared with itself. It does
//     not count where the directives are Targeted, of a field that replaces both:
//     then it is as if Expires were not there, and a guess is still allowed;
//   - none of them: a tenth of the time since Last-Modified, again up to Date, and
//     at most MaxHeuristic (§4.2.2), if the status is heuristically cacheable or
//     there is public. 0 otherwise.
//
// What is there and cannot be read makes r stale: max-age=soon and Expires: 0
// are 0, and so is an Expires without a value, which Header.Get cannot tell from
// one that is absent. It is not skipped, since what comes next would be a guess.
//
// All other directives leave the lifetime, and the guess, as they are. Of those,
// must-revalidate says what to do once r is stale, and private and no-store whether
// it may be stored; immutable makes no lifetime longer (RFC 8246). Nor does Age make
// it shorter: the two are compared.
//
// How long beyond that r may be used, stale, is not for this package to say:
// stale-while-revalidate and stale-if-error are not added (RFC 5861).
func Lifetime(r *httpcache.Response) time.Duration {
	// TODO(freshness): httpcache.ResponseDirectives reads the directives. Go down the list above,
	// and return at the first that is there.
	return -1
}

// Age is how old r is at now: at least 0, and never so large that it overflows.
// It is the sum of two (RFC 9111 §4.2.3):
//
//   - how old it was when it came. Caches before this one say so in Age, and the
//     time between asking and receiving is added to it, since it may have been
//     under way for all of that; without Age, it is that time alone. Or by the
//     clocks: from Date to r.Received, and nothing is added, for that time is in
//     it. The greater of the two, for each can be too small;
//   - how long it has been here: from r.Received to now.
//
// Age is a number of seconds. Of a list, on one line or several, the first member
// counts, without the spaces and tabs around it; if that is no number, or empty as
// in "Age: , 30", the field does not count, as if it were absent (§5.1).
//
// None of the three times is below 0, whichever clock was set back: see span.
func Age(r *httpcache.Response, now time.Time) time.Duration {
	// TODO(freshness): Add up what the comment says. httpcache.ParseSeconds reads Age, sent gives
	// Date, and span the time between two moments, which it keeps within bounds.
	return -1
}

// span is the time from one moment to another, 0 if that is the earlier one, as
// it can be when clocks differ, and at most httpcache.MaxSeconds: three of them
// can be added up.
func span(from, to time.Time) time.Duration {
	return min(max(to.Sub(from), 0), httpcache.MaxSeconds)
}

// sent is when the origin made r: its Date, or, where that is missing or cannot
// be read, the time at which it came (RFC 9110 §6.6.1).
func sent(r *httpcache.Response) time.Time {
	if t, ok := date(r, "Date"); ok {
		return t
	}
	return r.Received
}

// date reads the first line of r's field name in one of the three forms of RFC
// 9110 §5.6.7, in capitals or not. ok is false where there is none, and for all
// that looks nearly like one: http.ParseTime would take "2:01:18", and "PST" for
// what it is where this program happens to run (RFC 9111 §4.2).
func date(r *httpcache.Response, name string) (t time.Time, ok bool) {
	const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"
	value := strings.TrimSpace(r.Header.Get(name))
	if n := len(value) - 3; n > 0 && value[n:] != "GMT" && strings.EqualFold(value[n:], "GMT") {
		value = value[:n] + "GMT" // time.Parse reads days and months in capitals, but not this
	}
	for _, layout := range []string{http.TimeFormat, rfc850, time.ANSIC} {
		parsed, err := time.Parse(layout, value)
		if err != nil {
			continue
		}
		// Written again, it must be the same, but for the weekday, which may be wrong.
		_, read, _ := strings.Cut(value, " ")
		_, want, _ := strings.Cut(parsed.Format(layout), " ")
		if layout == rfc850 {
			parsed = century(parsed, r.Received)
		}
		return parsed, strings.EqualFold(read, want)
	}
	return time.Time{}, false
}

// century puts a year of two digits, which time.Parse puts between 1969 and 2068,
// where it is at most 50 years after now (RFC 9110 §5.6.7).
func century(t, now time.Time) time.Time {
	limit := now.AddDate(50, 0, 0)
	if next := t.AddDate(100, 0, 0); !next.After(limit) {
		return next
	}
	if t.After(limit) {
		return t.AddDate(-100, 0, 0)
	}
	return t
}
