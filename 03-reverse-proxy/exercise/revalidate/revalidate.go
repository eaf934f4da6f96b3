// Package revalidate asks the origin whether a stored response still holds, and
// tells a client that its own copy does.
//
// A stored response that is too old need not be wrong. Its validators, ETag and
// Last-Modified, name the version that is stored. Sent back as a condition, they
// ask for the content only if there is another version by now. If there is not,
// the answer is 304 Not Modified, a header without content, which makes the
// stored response fresh again. In the story, the gatekeeper does not fetch the
// menu again, he asks: is number 7 still the menu?
//
// Two conversations meet here, and must be kept apart: the client's condition is
// about the copy that the client has, the cache's about the one that it has
// itself.
//
// Source: RFC 9111 §3.2 and §4.3; RFC 9110 §8.8, §13 and §15.4.5.
package revalidate

import (
	"net/http"
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

// Ask returns a copy of r that asks whether stored still holds. stored's ETag
// becomes If-None-Match, strong or weak, and its Last-Modified becomes
// If-Modified-Since, both letter by letter (RFC 9111 §4.3.1). An ETag that is no
// entity-tag (RFC 9110 §8.8.3) is left out: as If-None-Match, an ETag of "*"
// would ask whether there is anything at all, and every answer would be a 304.
// Without validators the copy has no condition, and the answer brings content.
//
// The client's own conditions are not in the copy: If-None-Match,
// If-Modified-Since, If-Match, If-Unmodified-Since, If-Range, and with them
// Range. They are about what the client has. All else is r's, its body and
// context too. r and stored are not changed.
func Ask(r *http.Request, stored *httpcache.Response) *http.Request {
	// TODO(revalidate): Clone r, take the client's six fields away, and set the two of stored.
	// The reference imports, besides what stands above: "clicktocode.example/03-reverse-proxy/solution/hopbyhop".
	return r
}

// Freshen returns what becomes of stored by a 304 with the header h, which Ask's
// request got: it was sent at requested, and the 304 came at received. nil says
// that this 304 is about another version. Then it must not be used, and the
// caller asks again, without a condition.
//
// A 304 is about stored if it has the same strong ETag; or a weak one that is
// the same but for the W/; or no ETag, and the same Last-Modified (RFC 9111
// §4.3.4). The letters are compared. One without either is about stored, too:
// the origin owed them (RFC 9110 §15.4.5), but was asked about nothing else.
//
// The result has stored's status and body, and a header of its own: each field
// of h takes the place of all that stored has under its name, and what h does
// not have stays (RFC 9111 §3.2). But
//   - Content-Length, Content-Encoding and Content-Range stay stored's, since
//     they tell of the bytes that are stored. Other fields whose names begin
//     with Content- are like any other.
//   - What is for one connection only is not taken over; see [hopbyhop.Copy].
//   - Age and Date are the 304's alone. Without an Age, the result has none;
//     without a Date, it has the time received, in GMT (RFC 9110 §5.6.7,
//     §6.6.1). With those of stored, the result would be too old as soon as it
//     is made.
//
// stored, which others are reading, and h are not changed, and share no values
// with the result. Whether it may be kept is not asked here: storable.May says
// that of the new header, and httpcache's Withheld which fields have to go.
func Freshen(stored *httpcache.Response, h http.Header, requested, received time.Time) *httpcache.Response {
	// TODO(revalidate): Is h about stored? Then make a header: h's fields without the exceptions, and
	// behind that those of stored. hopbyhop.Copy copies what is not there yet.
	return nil
}

// NotModified reports whether r's own condition is to be answered by 304, since
// the client has what is stored, and has to be sent no content. It is false
// where r has no condition, and if r's method is neither GET nor HEAD or
// stored's status not 2xx (RFC 9110 §13.2.1).
//
// If there is an If-None-Match, it alone counts: it is * or lists an entity-tag
// that is stored's by the weak comparison, in which W/ makes no difference (RFC
// 9110 §8.8.3.2, §13.1.2). Its lines are one list. What is malformed ends the
// list; what was before it counts.
//
// Otherwise If-Modified-Since counts, if it is a date: nothing was modified if
// stored's Last-Modified is not later. Where that is missing or no date, Date
// stands in for it, and for that stored.Received (RFC 9111 §4.3.2). The other
// conditions are for the origin alone. r and stored are not changed.
func NotModified(r *http.Request, stored *httpcache.Response) bool {
	// TODO(revalidate): First what cannot be answered by 304. Then If-None-Match, if it is there: cutTag
	// reads its list, opaque helps to compare. If it is not, If-Modified-Since:
	// http.ParseTime reads dates, which have no fractions of a second.
	return false
}

// cutTag cuts the first entity-tag off a list of them, which has commas and
// white space between them: `"a", W/"b"` is `"a"` and `, W/"b"`. A comma inside
// of quotes is one of the tag's own letters. Where there is no tag to read, at
// the end or since list is malformed, tag is empty.
func cutTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, ", \t")
	quote := 0
	if strings.HasPrefix(list, "W/") {
		quote = 2
	}
	if !strings.HasPrefix(list[quote:], `"`) {
		return "", ""
	}
	for i := quote + 1; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			return list[:i+1], list[i+1:]
		case c < 0x21 || c == 0x7f: // RFC 9110 §8.8.3: no spaces, no control characters
			return "", ""
		}
	}
	return "", ""
}

// isTag reports whether s is one entity-tag, as "7" or W/"7" with its quotes.
func isTag(s string) bool {
	tag, _ := cutTag(s)
	return tag != "" && tag == s
}

// opaque is tag without the W/ of a weak one.
func opaque(tag string) string { return strings.TrimPrefix(tag, "W/") }
