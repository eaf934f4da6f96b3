// Package compress compresses answers on their way to the client, in a coding
// that the client can decode.
//
// Text shrinks to a quarter, and arrives that much sooner over a slow line.
// Pictures and films are compressed already, and small answers fit into one
// packet anyway. In the story, the gatekeeper presses flat what can be pressed,
// so that more of it fits into the bag.
//
// It stands behind the cache, which so keeps what is compressed, and has it done
// once. The trade-off is work: nothing else that the edge does to an answer takes
// as long. And length tells: whoever can put text into a page, and see how long it
// is compressed, can guess a secret in the same page (the BREACH attack). Leave
// out pages that hold secrets beside what others wrote.
//
// Source: RFC 9110 §8.4 (Content-Encoding), §8.8.3.3 (entity tags and codings),
// §12.5.5 (Vary); nginx's gzip_min_length, gzip_types and gzip_vary.
package compress

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"clicktocode.example/03-reverse-proxy/coding"
	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

// Config says what is compressed. The zero value is a good one.
type Config struct {
	// MinSize is how many bytes of content there must be. 0 is 1024, since less
	// than that fits into one packet, compressed or not. 1 is any content.
	MinSize int

	// Types are the media types that are worth it, as "text/css", or "text/*" for
	// all of a kind. nil is text, JSON, XML, JavaScript, SVG and WebAssembly.
	Types []string

	// Codings are those to be used, of coding.Names, the best first. nil is all.
	Codings []string
}

var defaultTypes = []string{
	"text/*", "application/json", "application/problem+json", "application/manifest+json", "application/ld+json",
	"application/xml", "application/xhtml+xml", "application/rss+xml", "application/atom+xml",
	"application/javascript", "application/wasm", "image/svg+xml",
}

// New returns a handler that compresses what next answers, as c says. It is an
// error if MinSize is below 0, or if what Types or Codings name is none.
//
// What next does with its http.ResponseWriter takes effect as it does without
// New, with one exception: up to MinSize bytes of an answer are held back until
// there are more, until next calls Flush, or until next returns. Answers that
// may not be compressed, and those whose Content-Length is known, are not held back.
// Hijack and the other methods of an http.ResponseController work.
//
// If next panics, the compressed answer is left without its end, so that the client
// can tell that something is missing. If next has written less than its
// Content-Length said, that is so, too: the handler panics by http.ErrAbortHandler.
//
// A compressed answer has an ETag of its own: "abc" becomes "abc-gzip". On the way
// to next, If-None-Match and If-Match are changed back, since next has never heard
// of it; otherwise no answer would ever be 304. If-Range is not: the first half
// compressed and the second half as it is do not make a whole.
func New(next http.Handler, c Config) (http.Handler, error) {
	var faults []error
	if c.MinSize < 0 {
		faults = append(faults, fmt.Errorf("compress: MinSize %d is below 0", c.MinSize))
	}
	if c.Types == nil {
		c.Types = defaultTypes
	}
	types := map[string]bool{}
	for _, t := range c.Types {
		parsed, params, err := mime.ParseMediaType(t)
		if err != nil || len(params) > 0 || strings.Count(parsed, "/") != 1 {
			faults = append(faults, fmt.Errorf(`compress: type %q is none, like "text/css" or "text/*"`, t))
		}
		types[parsed] = true
	}
	if c.Codings == nil {
		c.Codings = coding.Names()
	}
	for _, name := range c.Codings {
		if !slices.Contains(coding.Names(), name) {
			faults = append(faults, fmt.Errorf("compress: coding %q is none of %q", name, coding.Names()))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.MinSize == 0 {
		c.MinSize = 1024
	}
	return &compressor{next: next, minSize: c.MinSize, types: types, codings: slices.Clone(c.Codings)}, nil
}

type compressor struct {
	next    http.Handler
	minSize int
	types   map[string]bool // in lower case
	codings []string
}

func (c *compressor) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &writer{ResponseWriter: rw, c: c, head: r.Method == http.MethodHead}
	w.coding, _ = acceptencoding.Choose(r.Header["Accept-Encoding"], c.codings)
	w.asked = strings.Join(r.Header["If-None-Match"], ",")
	c.next.ServeHTTP(w, withoutSuffix(r, w.coding, c.codings))
	w.finish() // not deferred: after a panic, what is half done must not end as if it were whole
}

// may reports whether an answer with this status and this header may be
// compressed, provided that the client can decode it and that there is enough of
// it. It may not if any of this holds:
//
//   - It has no content: its status is below 200, 204, 205 or 304.
//   - It is a part: its status is 206, or it has Content-Range, whose numbers
//     count bytes of the content as it is (RFC 9110 §14.4).
//   - It is compressed already: it has Content-Encoding, whatever stands there.
//   - It has Cache-Control: no-transform (RFC 9111 §5.2.2.6).
//   - It has a Content-Length, and that is below minSize.
//   - Its Content-Type is not one that is worth it, see worth.
func (c *compressor) may(status int, h http.Header) bool {
	// TODO(compress): Go through the list above. h.Get returns "" for a field that is not there;
	// length(h) and noTransform(h) read the two that take some parsing.
	return false
}

// label changes the header h of an answer that may be compressed, and is sent in
// this coding, or as it is if that is acceptencoding.Identity.
//
// Either way, Vary comes to name Accept-Encoding (addVary does it): another client
// might get it otherwise, and caches must know. Only for an answer in a coding,
// Content-Encoding names that, the ETag gets a suffix (suffixed makes it), and the
// fields that ofBytes lists go, for they count or check the bytes as they were.
func label(h http.Header, name string) {
	// TODO(compress): First Vary, compressed or not. Then what is for compressed answers only.
}

// ofBytes are header fields that are about the bytes of the content as they were:
// how many there are, that one may ask for some of them, and sums over them (RFC
// 9530, and what came before it).
var ofBytes = []string{"Content-Length", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// writer is the ResponseWriter of one answer. Where the content goes is open at
// first; begin decides it, and sends the header.
type writer struct {
	http.ResponseWriter
	c      *compressor
	coding string // what the client likes best; acceptencoding.Identity for none
	head   bool   // the request's method is HEAD: no content will be sent
	asked  string // the client's If-None-Match

	status int         // as given to WriteHeader, 0 before
	header http.Header // as it was then, while it is not sent; nil afterwards

	held    []byte        // content that waits for begin
	out     io.Writer     // where content goes from begin on; nil before
	encoder coding.Writer // what compresses it; nil before begin, and if it is not compressed
	missing int64         // how much of the Content-Length is still to come; -1 if unknown
}

// Write sends p, compressed or not. Until begin was called, p is held back for as
// long as all that there is so far, p included, is less than minSize. What is held
// back counts as written. p itself is not kept: it is the caller's again as soon as
// Write has returned. What goes wrong below is returned, so that a handler whose
// client has left can stop.
func (w *writer) Write(p []byte) (int, error) {
	// TODO(compress): Call w.WriteHeader(http.StatusOK), which a handler need not have done. If w.out is
	// nil then, nothing is decided yet. Is there too little to decide? Add p to w.held,
	// and that is all. Otherwise begin. Once it has begun, p goes to w.out.
	return w.ResponseWriter.Write(p)
}

// FlushError makes all that was written arrive now, however little it is: the
// handler may not have more for an hour. If that is nothing yet, the header arrives,
// of a 200 where no status was given. What goes wrong below is returned, such as
// http.ErrNotSupported.
func (w *writer) FlushError() error {
	// TODO(compress): Three places keep something back: this writer, until it begins (WriteHeader first,
	// as in Write); the encoder, if there is one; and the ResponseWriter below.
	return http.NewResponseController(w.ResponseWriter).Flush()
}
