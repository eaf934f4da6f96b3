// Package storable says which responses a shared cache may keep, and which
// requests a kept one answers.
//
// What a cache keeps, it hands to strangers. One wrong yes, and a customer sees
// another one's orders. In the story, the gatekeeper may keep a bowl of soup for
// whoever asks for soup next, but not the bill of table five; and who asked for
// the menu in German must not get it in French.
//
// Source: RFC 9111 §3 (storing), §3.5 (Authorization), §4.1 (Vary), §5.2.2.3
// (must-understand), §7.3 (Set-Cookie).
package storable

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

// May reports whether a shared cache may store the response with this status and
// header h that request r got. All of this must hold (RFC 9111 §3):
//
//   - r's method is GET ("" means GET), and r has no content;
//   - Cache-Control in r does not say no-store (§5.2.1.5);
//   - the status is final, so not below 200, and the answer to a whole request: not
//     206 or 416, which answer to Range, nor 304 or 412, which answer to a condition;
//   - h does not say no-store, whatever it says besides. But beside must-understand
//     that does not count: it is for caches that know no better (§5.2.2.3);
//   - if h says must-understand, the status is one that understood knows;
//   - h does not say private, whatever it says besides, unless that only names
//     fields, which the cache then leaves out (see Unqualified and Withheld of
//     httpcache.Directives);
//   - if r has Authorization, with any value, h says public, must-revalidate or
//     s-maxage (§3.5);
//   - h sets no cookie for one client, as setsCookie tells;
//   - requests can be matched with h's Vary, as varies tells (§4.1);
//   - something speaks for it: h has public, max-age, s-maxage, or Expires (not if
//     they are Targeted), of whatever value, or the status is heuristically cacheable.
//
// What h says are its httpcache.ResponseDirectives. Nothing else of r or h counts:
// an answer 200 is the whole, whether r asked for a part or on a condition, and
// r's no-cache and max-age are about what is stored already. A yes does not mean
// that it may be used again without asking: that is for package freshness to say.
func May(r *http.Request, status int, h http.Header) bool {
	if r.ContentLength != 0 {
		return false // the key knows nothing of content: whoever sends some could plant an answer for all
	}
	//workshop:begin return false
	//workshop:todo Go down the list above, and return false at the first line that does not
	//workshop:todo hold. The last line is what speaks for storing it.
	d := httpcache.ResponseDirectives(h)
	forAll := d.Has("public") || d.Has("s-maxage")
	must := d.Has("must-understand")
	_, matchable := varies(h)
	switch {
	case r.Method != http.MethodGet && r.Method != "",
		httpcache.ParseDirectives(r.Header.Values("Cache-Control")).Has("no-store"),
		status < 200, status == 206, status == 304, status == 412, status == 416,
		d.Has("no-store") && !must,
		must && !understood(status),
		d.Unqualified("private"), // Has would throw away what is private in one field
		r.Header.Values("Authorization") != nil && !forAll && !d.Has("must-revalidate"),
		setsCookie(h, d),
		!matchable: // it would lie here, and no request could ever have it
		return false
	}
	// No word about no-cache: what must be confirmed each time must be here to be confirmed.
	return forAll || d.Has("max-age") || h.Values("Expires") != nil && !d.Targeted() ||
		httpcache.HeuristicallyCacheable(status)
	//workshop:end
}

// Key is the secondary key of a response, under which it is kept beside others
// for the same URL: what request r has in the fields that Vary names. Two requests
// have the same key if, and only if, Vary lets one response answer both (§4.1):
//
//   - each field has the same value in both, as normal writes it;
//   - a field that is absent from one is absent from the other. One that is there
//     and empty is not absent.
//
// Whatever clients put into their fields, no two different requests have the same
// key. In whatever order, letters and lines Vary names its fields, the key is the
// same. Nothing else of r counts, its method neither: what GET brought answers HEAD,
// too. Without Vary all requests have the same key. Host is a field like others,
// which net/http keeps in r.Host.
func Key(vary http.Header, r *http.Request) string {
	//workshop:begin return ""
	//workshop:todo Of each name that varies returns, add the name to the key, and, if the request
	//workshop:todo has that field, its value, as normal writes it. No value may look like the end
	//workshop:todo of one and the beginning of the next.
	names, _ := varies(vary)
	var key []byte
	for _, name := range names {
		lines := r.Header.Values(name) // Get would be "" for absent and for empty
		if name == "Host" {
			lines = []string{r.Host}
		}
		key = strconv.AppendQuote(key, name)
		if len(lines) == 0 {
			continue
		}
		// Quoted: whatever separator stood between two values, a client could send it in one.
		key = strconv.AppendQuote(append(key, '='), normal(name, lines))
	}
	return string(key)
	//workshop:end
}

// varies returns the names in h's Vary: canonical, sorted, each once. ok is false
// where one is "*", or cannot be a field's name: no request matches that.
func varies(h http.Header) (names []string, ok bool) {
	ok = true
	for _, line := range h.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if name == "" {
				continue // lists may have empty elements (RFC 9110 §5.6.1)
			}
			ok = ok && name != "*" && httpcache.IsToken(name)
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), ok
}

// normal is the value of the field name, which stands on lines: they are joined
// by commas, without the blanks around these, and in Accept-Language and
// Accept-Encoding capitals are small letters (§4.1). The order stays as it is:
// many servers take the language that comes first for the one that is liked best.
func normal(name string, lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte(',')
		}
		quoted := false
		line = strings.Trim(line, " \t")
		for at := 0; at < len(line); at++ {
			switch {
			case line[at] == '\\' && quoted:
				at++ // what comes next is no end of the quotes
			case line[at] == '"':
				quoted = !quoted
			case line[at] == ',' && !quoted:
				b.WriteString(strings.TrimRight(line[:at], " \t"))
				b.WriteByte(',')
				line, at = strings.TrimLeft(line[at+1:], " \t"), -1
			}
		}
		b.WriteString(line)
	}
	if name == "Accept-Language" || name == "Accept-Encoding" {
		return strings.ToLower(b.String())
	}
	return b.String()
}

// setsCookie reports whether h has a Set-Cookie, and nothing that tells that the
// response is for more than the one who gets the cookie. The RFC leaves it to the
// origin to forbid storing it (§7.3). Here the origin has to allow it, since many
// programs add their session's cookie to whatever they send, and forget max-age
// there: by public or s-maxage, by a targeted field, or by no-cache or private
// that names Set-Cookie.
func setsCookie(h http.Header, d httpcache.Directives) bool {
	return h.Values("Set-Cookie") != nil && !d.Has("public") && !d.Has("s-maxage") && !d.Targeted() &&
		!slices.Contains(d.Withheld(), "Set-Cookie")
}

// understood reports whether this cache knows what the status asks of caches: it
// is a final one of RFC 9110 §15, but for 206 and 304.
func understood(status int) bool {
	switch {
	case status == 206, status == 304, status == 306, status == 418:
		return false
	case status >= 200 && status <= 205, status >= 300 && status <= 308, status >= 400 && status <= 422,
		status == 426, status >= 500 && status <= 505:
		return true
	}
	return false
}
