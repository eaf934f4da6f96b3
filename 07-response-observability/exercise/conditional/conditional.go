// Package conditional answers requests that come with a condition: send it only if it
// is not what I have already, and change it only if it is still what I have seen.
//
// Both name a version, by its entity tag, which the answer before has brought in the
// field ETag. The first saves a transfer: 304 Not Modified is a header and nothing
// else. The second saves a change that somebody else has made meanwhile: without it,
// the last one to write wins, and nobody is told.
//
//	GET  /orders/17          If-None-Match: "7-application/json"  ─► 304, or 200
//	POST /orders/17/cancel   If-Match: "7-application/json"       ─► 412, or it is done
//
// In the story: "is there still the same on the table as when you looked? Then I need
// not carry it over once more" and "clear the plate, but only if nobody has touched it
// since".
//
// Left out: conditions by date (If-Modified-Since, If-Unmodified-Since). A second is
// too coarse for an order, which is paid and cancelled in less. And Range, which is the
// last step of the RFC's list.
//
// Source: RFC 9110 §8.8.3 (ETag), §13 (conditional requests), §15.4.5 (304), §15.5.13
// (412).
package conditional

import (
	"net/http"
	"strings"

	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

// Tag is the entity tag of something in that version, which is above 0, in the form
// mediaType, as "application/json", without parameters.
//
// It is a strong one: who has two answers with the same tag has the same octets twice.
// So the two forms of one version have different tags, and so have two versions in one
// form. By the grammar it is a text in double quotes, with no double quote, space or
// control character in it (RFC 9110 §8.8.3).
func Tag(version int, mediaType string) string {
	// TODO(conditional): The quotes are a part of it.
	// The reference imports, besides what stands above: "slices", "strconv".
	return ""
}

// Evaluate decides what becomes of r by its conditions (RFC 9110 §13.2.2). tags are the
// entity tags, all strong, of what is there now: for GET and HEAD, that of the one
// representation that would be sent; for a change, those of all forms of the current
// version, since the condition is about what was seen, in whatever form. None means that
// there is nothing.
//
// First If-Match, if r has it, be it empty. If it does not hold, status is 412 Precondition Failed.
// It holds
//   - if it is "*", and something is there; or
//   - if one of those that it lists is one of tags by the strong comparison (§8.8.3.2).
//     A weak one, W/"7", never is.
//
// Then If-None-Match, if r has it. It holds if the same search finds nothing, by the
// weak comparison: W/"7" is "7". If it does not hold, status is 304 Not Modified for GET
// and HEAD, and 412 for every other method.
//
// Otherwise status is 0: go on. With a 304, tag is the one that was found, letter by
// letter as the client has listed it, or tags[0] if that was "*". The 304's ETag must
// name it, or the client does not know which of its copies is meant. Otherwise tag does
// not matter.
//
// On the way, edges that compress have put a suffix into tags: "7-gzip" for "7". Not
// all of them take it out again. It is looked through (bare): in If-Match whichever it
// is (codings), in If-None-Match only that of a coding that this client accepts
// (accepted): another copy would be of no use to it.
//
// Each field is a list, on one line or on several. What is malformed ends the list;
// what was before it counts (see cut). "*" stands alone, or is malformed.
func Evaluate(r *http.Request, tags ...string) (status int, tag string) {
	// TODO(conditional): One search serves both fields: over the list of r.Header["If-Match"], or
	// r.Header["If-None-Match"], cut by cut, for one that is in tags. What differs is
	// how one that is listed is made comparable.
	return 0, ""
}

// NotModified answers 304. w's header is what the 200 would have: ETag, Vary,
// Cache-Control, Content-Location, Expires and Date stay, if they are there, since the
// client's copy takes them over, and so does whatever is not about content (RFC 9110
// §15.4.5).
//
// A 304 has no content, and what would describe it goes: Content-Type, Content-Length,
// Content-Encoding, Content-Language, Content-Range. A client would take that for news
// of its copy.
func NotModified(w http.ResponseWriter) {
	// TODO(conditional): The header first: Header.Del. Then the status, and nothing else.
}

// Check sets w's ETag to tag, which is that of what would be sent, and asks Evaluate.
// If that says 304 or 412, Check answers, and done is true: then there is nothing left
// to do. All other fields of the header must be there already, Vary above all.
//
// It is for GET and HEAD, and for what is there and may be seen: a condition comes
// behind every check that would refuse the request without it (RFC 9110 §13.2.1). A
// change is checked where it is made: see package answer.
func Check(w http.ResponseWriter, r *http.Request, tag string) (done bool) {
	w.Header().Set("ETag", tag)
	switch status, known := Evaluate(r, tag); status {
	case 0:
		return false
	case http.StatusNotModified:
		w.Header().Set("ETag", known)
		NotModified(w)
	default:
		problem.Write(w, problem.Details{
			Status:   status,
			Detail:   "It is not what your condition names (any more). Look at it before you try again.",
			Instance: request.ID(r.Context()),
		})
	}
	return true
}

// codings are those whose names compressing edges append to a tag.
var codings = []string{"gzip", "br", "zstd", "deflate"}

// accepted are those codings that r's client accepts, and likes at least as well as
// none.
func accepted(r *http.Request) (accepted []string) {
	for _, coding := range codings {
		if chosen, _ := acceptencoding.Choose(r.Header["Accept-Encoding"], []string{coding}); chosen == coding {
			accepted = append(accepted, coding)
		}
	}
	return accepted
}

// bare is tag without the suffix of one of these codings: "7-gzip" is "7", in quotes.
func bare(tag string, codings []string) string {
	for _, coding := range codings {
		if without, had := strings.CutSuffix(tag, "-"+coding+`"`); had {
			return without + `"`
		}
	}
	return tag
}

// cut cuts the first entity tag off a list of them, which has commas and white space
// between them: `"a", W/"b"` is `"a"` and `, W/"b"`. A comma inside of quotes is one of
// the tag's own letters. Where there is no tag to read, at the end or since list is
// malformed, tag is empty.
func cut(list string) (tag, rest string) {
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
