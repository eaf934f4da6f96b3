// Package validate looks at a request from outside, before anyone works on it:
// is its body in a form that can be read, is it small enough, and can the client
// read what it will get?
//
// All three are in the header, or nearly so, and cost next to nothing to ask.
// Unasked, they cost dearly: a body without a limit fills the memory, and one
// that is read as JSON although it says text/plain can come from any page on the
// web, since browsers send that kind to other sites without asking them first.
// In the story, the bouncer at the coat check: no bag larger than this, nothing
// that we have no hanger for.
//
// What is in the body is not looked at; whether it is JSON, and an order, is for
// those to say who read it.
//
// Left out: how long a body takes to arrive. net/http's Server.ReadTimeout
// bounds that, and here the edge in front. Packed bodies are refused: a thousand
// octets of gzip can unpack to a million, so they would need a second limit.
//
// Source: RFC 9110 §8.3 (Content-Type), §12.5.1 (Accept), §15.5.7 (406), §15.5.14
// (413), §15.5.16 (415); RFC 8259 §8.1 (JSON is UTF-8); the Fetch standard's
// CORS-safelisted request-header.
package validate

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

// DefaultMaxBody is the limit of bodies where none is configured: 1 MiB.
const DefaultMaxBody = 1 << 20

// Config is what a bouncer of this kind works with.
type Config struct {
	// ContentTypes are the media types of bodies that can be read, without
	// parameters: "application/json". None means application/json alone.
	ContentTypes []string
	// Accept are the media types that answers have, without parameters. None means
	// application/json alone.
	Accept []string
	// MaxBody is how many octets a body has at most. 0 means DefaultMaxBody; it
	// must not be negative.
	MaxBody int64
}

// New returns a handler that refuses, by a problem, and without calling those
// behind it:
//
//   - with 413, a request whose Content-Length is above c.MaxBody. Nothing of its
//     body is read, and the connection is closed after the answer.
//   - with 406, one whose client could not read the answer: see Acceptable.
//   - with 415, one whose body could not be read: its Content-Type is not one that
//     Understood knows (the answer's field Accept says which are), or it has a
//     Content-Encoding other than identity (the answer's Accept-Encoding says so).
//     A request has a body if its Content-Length is not 0, or not known, whatever its
//     method is. One without a body is not asked for any of this.
//
// Whatever a client says of its length, those behind can read c.MaxBody octets of
// a body and no more: then Read returns a *http.MaxBytesError, and the connection
// will be closed after the answer, since what the client is still sending cannot
// be told from its next request. If they return without having begun an answer
// then, it is 413. If they begin one, it stands: they have to look for that error.
//
// Nothing of a body is read ahead of those behind, and none of it is kept.
//
// err names all faults of c at once.
func New(c Config) (gin.HandlerFunc, error) {
	b := &bouncer{maxBody: c.MaxBody}
	var faults [3]error
	b.contentTypes, faults[0] = mediaTypes("ContentTypes", c.ContentTypes)
	b.accept, faults[1] = mediaTypes("Accept", c.Accept)
	switch {
	case c.MaxBody < 0:
		faults[2] = fmt.Errorf("validate: MaxBody is %d, must not be negative", c.MaxBody)
	case c.MaxBody == 0:
		b.maxBody = DefaultMaxBody
	}
	if err := errors.Join(faults[:]...); err != nil {
		return nil, err
	}
	return b.handle, nil
}

type bouncer struct {
	contentTypes []string // in lower case, at least one
	accept       []string // likewise
	maxBody      int64    // above 0
}

func (b *bouncer) handle(c *gin.Context) {
	//workshop:begin
	//workshop:todo Refuse what New says: b.tooLarge, b.notAcceptable, b.cannotRead and cannotUnpack
	//workshop:todo are given, and so is packed. Length and Accept concern every request, the two
	//workshop:todo others those with a body. Then replace the body by one that is limited, and
	//workshop:todo call the next handlers. Did they meet the limit? b.tooLarge answers, unless
	//workshop:todo they have.
	r := c.Request
	switch {
	case r.ContentLength > b.maxBody:
		b.tooLarge(c)
		return
	case !Acceptable(r.Header["Accept"], b.accept):
		b.notAcceptable(c)
		return
	case r.ContentLength == 0: // and not below 1: a length that is not known is -1
		return
	case packed(r.Header):
		cannotUnpack(c)
		return
	case !Understood(r.Header["Content-Type"], b.contentTypes):
		b.cannotRead(c)
		return
	}
	body := limit(connection(c.Writer), r.Body, b.maxBody) // gin's own writer could not be told to close
	r.Body = body
	c.Next()
	if body.exceeded.Load() {
		b.tooLarge(c)
	}
	//workshop:end
}

// Understood reports whether a body is of one of types, which are in lower case
// and have no parameters. lines are the lines of the field Content-Type, as in
// http.Header.
//
// Exactly one line must name exactly one of types, in upper or lower case. What
// is like it is another type: application/vnd.shop+json is not application/json,
// and may mean something else. Parameters are allowed, but charset must be utf-8,
// in upper or lower case, if it is there (RFC 8259 §8.1). What cannot be parsed,
// in its parameters either, is not understood: others who read the same line
// might see another type in it.
func Understood(lines []string, types []string) bool {
	//workshop:begin return false
	//workshop:todo mime.ParseMediaType takes a line apart. (Imports: mime)
	if len(lines) != 1 {
		return false // a firewall before us may have looked at the other one
	}
	name, parameters, err := mime.ParseMediaType(lines[0])
	if err != nil {
		return false // even if it has a name: browsers send "text/plain; x=application/json" to other sites unasked
	}
	if charset, said := parameters["charset"]; said && !strings.EqualFold(charset, "utf-8") {
		return false // "é" in Latin-1 would be read as something else, without an error
	}
	for _, t := range types {
		if name == t {
			return true
		}
	}
	return false
	//workshop:end
}

// Acceptable reports whether a client can read an answer in one of types, which
// are in lower case. lines are the lines of its field Accept, as in http.Header.
//
// A type has the weight of the range that names it most exactly: of
// "application/json", before "application/*", before "*/*" (RFC 9110 §12.5.1).
// So "*/*, application/json;q=0" is every type but that one. Of two ranges
// that are the same, the higher weight counts. A type that no range names has
// weight 0, which means: not acceptable. One acceptable type is enough.
//
// A client that sends no such field, or one that lists nothing, reads everything.
func Acceptable(lines []string, types []string) bool {
	//workshop:begin return false
	//workshop:todo For each type, go over the ranges (given) and find the one that names it most
	//workshop:todo exactly. If no range was there at all, everything is acceptable.
	listed := false
	for _, t := range types {
		family, _, _ := strings.Cut(t, "/")
		exact, weight := 0, 0
		for name, q := range ranges(lines) {
			listed = true
			how := 0
			switch name {
			case t:
				how = 3
			case family + "/*":
				how = 2
			case "*/*":
				how = 1
			}
			if how > exact || how == exact && q > weight {
				exact, weight = how, q
			}
		}
		if exact > 0 && weight > 0 {
			return true
		}
	}
	return !listed
	//workshop:end
}

// limit returns body, but for what is beyond its first max octets: an error. Whoever
// meets it leaves a note, and w, which is net/http's own writer, is told to close the
// connection.
func limit(w http.ResponseWriter, body io.ReadCloser, max int64) *limited {
	return &limited{ReadCloser: http.MaxBytesReader(w, body, max)}
}

// limited is a body that tells whether its limit was met.
type limited struct {
	io.ReadCloser
	exceeded atomic.Bool // a handler may let another goroutine read
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if _, over := err.(*http.MaxBytesError); over {
		l.exceeded.Store(true)
	}
	return n, err
}

// connection returns the writer that net/http made, which others have wrapped: gin,
// and perhaps those before it. http.MaxBytesReader asks it to close the connection by
// a method that no wrapper has, since its name is not exported. Asked in vain, it says
// nothing.
func connection(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// packed reports whether a body has a Content-Encoding other than identity.
func packed(h http.Header) bool {
	coding := strings.Join(h["Content-Encoding"], ",")
	return coding != "" && !strings.EqualFold(coding, "identity")
}

func (b *bouncer) tooLarge(c *gin.Context) {
	if !c.Writer.Written() {
		// Without this, net/http would read on before it answers, up to 256 KiB, and a
		// client that sends slowly would learn it late.
		c.Header("Connection", "close")
	}
	problem.Abort(c, problem.Details{
		Status: http.StatusRequestEntityTooLarge,
		Detail: fmt.Sprintf("The body is too large: send at most %d octets.", b.maxBody),
	})
}

func (b *bouncer) notAcceptable(c *gin.Context) {
	problem.Abort(c, problem.Details{
		Status: http.StatusNotAcceptable,
		Detail: "Answers come as " + strings.Join(b.accept, ", ") + ": the field Accept must allow one of them.",
	})
}

func (b *bouncer) cannotRead(c *gin.Context) {
	types := strings.Join(b.contentTypes, ", ")
	c.Header("Accept", types) // in an answer, it says what to send: RFC 9110 §12.5.1
	problem.Abort(c, problem.Details{
		Status: http.StatusUnsupportedMediaType,
		Detail: "A body must be " + types + ", in UTF-8, and one field Content-Type must say so.",
	})
}

func cannotUnpack(c *gin.Context) {
	c.Header("Accept-Encoding", "identity") // only if that is the reason: RFC 9110 §12.5.3
	problem.Abort(c, problem.Details{
		Status: http.StatusUnsupportedMediaType,
		Detail: "The body is packed, and is not unpacked here: send it without Content-Encoding.",
	})
}

// mediaTypes are those of a Config's field, checked, and in lower case.
func mediaTypes(field string, list []string) (types []string, err error) {
	if len(list) == 0 {
		return []string{"application/json"}, nil
	}
	var faults []error
	for _, s := range list {
		name, parameters, err := mime.ParseMediaType(s)
		if err != nil || len(parameters) > 0 || strings.Count(name, "/") != 1 || strings.ContainsAny(name, "* ") {
			faults = append(faults, fmt.Errorf("validate: %s: %q is no media type without parameters, as application/json is", field, s))
		}
		types = append(types, name)
	}
	return types, errors.Join(faults...)
}
