// Package static serves the files of a site as a content delivery network does:
// what never changes is kept by browsers for a year, without a question, and what
// may change is asked for each time, in a few bytes.
//
// A browser should not fetch twice what it has. But if it keeps a style sheet for
// a year, it does not notice that there is a new one. The way out is a name that
// changes with the content: app.css is served as /assets/app.1f2e3d4c.css, where
// 1f2e3d4c is its fingerprint, and the page, which is asked for each time, tells
// the current name. In the story, the printed menus lie out for all to take, each
// edition with its number, and the board at the door says which one holds today.
//
// Everything is read, compressed and hashed once, in New; a request only picks. So
// it is for what fits into memory. Left out: files that refer to others, except by
// the page (a style sheet cannot name a picture by its fingerprint); files under a
// fixed name, such as robots.txt; and the files of the previous edition, for which
// a page that was loaded before still asks. Those are a matter of how a site is
// rolled out: publish both for a while.
//
// Source: RFC 8246 (immutable); RFC 9110 §8.8.3 (ETag), §13 (conditional requests),
// §14 (ranges); RFC 9111 §5.2.2.4 (no-cache).
package static

import (
	"net/http"
)

// fingerprinted is the name under which a file is served that has this name and
// this content: between name and extension there are the first 8 hexadecimal
// digits of the content's SHA-256. "img/logo.svg" becomes "img/logo.1f2e3d4c.svg",
// and "LICENSE" becomes "LICENSE.1f2e3d4c". Other content has another name, and the
// same content has the same name on every edge, whenever it was started.
func fingerprinted(name string, content []byte) string {
	// TODO(static): path.Ext, strings.TrimSuffix, sha256.Sum256 and hex.EncodeToString do the work.
	// The reference imports, besides what stands above: "clicktocode.example/03-reverse-proxy/solution/acceptencoding", "crypto/sha256", "encoding/hex", "path", "strings".
	return name
}

// tag is the strong entity tag of these bytes, with its quotes: other bytes have
// another one (RFC 9110 §8.8.3), wherever they differ, and the same bytes have the
// same one on every edge, whenever it was started. However many bytes there are,
// it is short: at most 200 characters that can be printed, without spaces.
func tag(content []byte) string {
	// TODO(static): A hash of the content in double quotes.
	return ""
}

// file is what there is under one URL. It does not change.
type file struct {
	contentType string
	// immutable tells that the URL has the fingerprint in it: never will there be
	// anything else under it. The page has a name that stays, and is not immutable.
	immutable bool
	// variants are the content in each coding in which it is shorter, the shortest
	// first, and last the content as it is. There is always that one.
	variants []variant
}

// variant is content in one coding, as it is sent.
type variant struct {
	coding  string // acceptencoding.Identity for the content as it is
	content []byte
	tag     string // of these bytes; see tag
}

// serve answers a GET or a HEAD. Content-Type is set already.
//
// It sends the variant whose coding r's Accept-Encoding likes best, among equals
// the first one, by way of send, which answers 304, 206 and so on by the header
// that it finds: Cache-Control, ETag, Content-Encoding for a variant that is in a
// coding, and Vary wherever there is more than one. Content-Length is for send to
// set: only send knows how much of it goes.
//
// What is immutable is "public, max-age=31536000, immutable": it may be kept by
// everybody for a year, and is not asked for again even on a reload (RFC 8246).
// Everything else is "no-cache" and no more: it may be kept, by everybody too, and
// must be asked for each time (RFC 9111 §5.2.2.4).
func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	// TODO(static): Which variant? List the codings of f.variants, and let acceptencoding.Choose
	// choose one; where it finds none acceptable, it says Identity, which is always
	// there. Set the header fields, then send.
}
