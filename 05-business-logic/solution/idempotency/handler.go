package idempotency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

// MaxKey is how long a key is at most, in octets.
const MaxKey = 255

// Parse reads a key from the lines of the field Idempotency-Key, as in http.Header.
// There must be one line. The draft wants a structured string, in quotes (RFC 9651
// §3.3.3); bare ones are usual, Stripe's among them, and mean the same key:
//
//	Idempotency-Key: "8e03978e-40d5-43e8-bc93-6894a57f9324"
//	Idempotency-Key: 8e03978e-40d5-43e8-bc93-6894a57f9324
//
// A key is 1 to MaxKey visible ASCII characters, other than quotes, backslash, comma
// and semicolon, which have a meaning of their own in fields of this kind.
func Parse(lines []string) (key string, err error) {
	if len(lines) != 1 {
		return "", fmt.Errorf("idempotency: %d lines Idempotency-Key, must be 1", len(lines))
	}
	key = lines[0]
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	if len(key) == 0 || len(key) > MaxKey {
		return "", fmt.Errorf("idempotency: a key of %d characters, must be 1 to %d", len(key), MaxKey)
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' || c == ';' {
			return "", fmt.Errorf("idempotency: the key %.40q has %q in it", key, c)
		}
	}
	return key, nil
}

// Replayed is the field that an answer has, with the value true, that was sent
// before.
const Replayed = "Idempotent-Replayed"

// types is where the types of problems stand.
const types = "https://shop.test/problems/"

// errNothing is why what those behind did is not remembered: they gave no answer.
var errNothing = errors.New("idempotency: no answer")

// Handler returns a handler that has those behind it handle one of all requests
// with the same key: see Do. The customer is the request's principal (request.From),
// so it stands behind what authenticates. Where there is none, it is 401.
//
// A request is another one, for Do, if its body, method, path or query differs. The
// body is read here, whole; package validate, in front, bounds its size. Of an answer
// those header fields are remembered which those behind have set. What those in front
// have in Vary stays there, beside it.
//
// A request without a key, or with one that Parse does not read, is 400; the others
// that are refused have the status of the error. Where those behind give no answer,
// since the client has left or the time is up, none is given here either.
func Handler(k *Keys) gin.HandlerFunc {
	return func(c *gin.Context) {
		who := request.From(c.Request.Context())
		if who == nil {
			problem.Abort(c, problem.Details{Status: http.StatusUnauthorized, Detail: "This needs a token: send one in the field Authorization."})
			return
		}
		key, err := Parse(c.Request.Header.Values("Idempotency-Key"))
		if err != nil {
			problem.Abort(c, problem.Details{
				Type: types + "idempotency-key", Title: "No usable Idempotency-Key", Status: http.StatusBadRequest,
				Detail: fmt.Sprintf("Send one field Idempotency-Key, with 1 to %d characters that you make up for this order, such as a UUID. Send the same one when you ask again.", MaxKey),
			})
			return
		}
		body, err := io.ReadAll(c.Request.Body)
		if err != nil {
			unread(c, err)
			return
		}
		fingerprint := append([]byte(c.Request.Method+" "+c.Request.URL.RequestURI()+"\n"), body...)
		answer, replayed, err := k.Do(c.Request.Context(), who.Subject, key, fingerprint, func(ctx context.Context) (Answer, error) {
			request.Note(c, ctx)
			c.Request.Body = io.NopCloser(bytes.NewReader(body))
			return capture(c)
		})
		switch {
		case errors.Is(err, errNothing):
		case err != nil:
			refuse(c, err)
		default:
			c.Abort() // those behind have answered already, now or then
			h := c.Writer.Header()
			put(h, answer.Header)
			if replayed {
				h.Set(Replayed, "true")
			}
			c.Writer.WriteHeader(answer.Status)
			_, _ = c.Writer.Write(answer.Body) // to a client that may be gone
		}
	}
}

// put adds the fields of an answer to h, where those in front have put theirs. Of two
// with one name, the answer's counts; but Vary is a list, which each of them adds to: a
// cache must know of all of it.
func put(h, answer http.Header) {
	for name, lines := range answer {
		if name != "Vary" {
			h[name] = slices.Clone(lines) // the answer is kept, and h changed by others
			continue
		}
		for _, line := range lines {
			if !slices.Contains(h[name], line) {
				h.Add(name, line)
			}
		}
	}
}

// unread answers a request whose body could not be read.
func unread(c *gin.Context, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		problem.Abort(c, problem.Details{
			Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("The body is too large: send at most %d octets.", tooLarge.Limit),
		})
		return
	}
	_ = c.Error(err)
	problem.Abort(c, problem.Details{Status: http.StatusBadRequest, Detail: "The body did not arrive whole. Send it again."})
}

// refuse answers a request that Do did not handle.
func refuse(c *gin.Context, err error) {
	switch {
	case errors.Is(err, ErrMismatch):
		problem.Abort(c, problem.Details{
			Type: types + "idempotency-mismatch", Title: "Idempotency-Key used for another request", Status: http.StatusUnprocessableEntity,
			Detail: "You have sent something else with this key. Make up a new key for each order.",
		})
	case errors.Is(err, ErrInFlight):
		c.Header("Retry-After", "1")
		problem.Abort(c, problem.Details{
			Type: types + "idempotency-in-flight", Title: "This order is under way", Status: http.StatusConflict,
			Detail: "The first request with this key is not answered yet. Ask again in a moment, with the same key.",
		})
	default:
		_ = c.Error(err)
		c.Header("Retry-After", "5")
		problem.Abort(c, problem.Details{Status: http.StatusServiceUnavailable, Detail: "Too much is under way here. Try again in a while, with the same key."})
	}
}

// capture calls the handlers behind, and returns their answer, which nobody has seen
// yet: what is not kept must not be sent either, or a client would count on it.
func capture(c *gin.Context) (Answer, error) {
	r := &recorder{ResponseWriter: c.Writer, header: http.Header{}, status: http.StatusOK}
	c.Writer = r
	defer func() { c.Writer = r.ResponseWriter }() // in a panic, too: who recovers it answers by it
	c.Next()
	if !r.written && r.status == http.StatusOK {
		return Answer{}, errNothing // otherwise, a 200 without a body would be kept for a day
	}
	return Answer{r.status, r.header, r.body.Bytes()}, nil
}

// recorder is a gin.ResponseWriter that keeps what is written.
type recorder struct {
	gin.ResponseWriter // of what could be sent past us, nothing is used
	header             http.Header
	status             int
	written            bool
	body               bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) Status() int         { return r.status }
func (r *recorder) Written() bool       { return r.written }
func (r *recorder) WriteHeaderNow()     { r.written = true }
func (r *recorder) Flush()              { r.written = true }

func (r *recorder) WriteHeader(status int) {
	if !r.written && status > 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.written = true
	return r.body.Write(p)
}

func (r *recorder) WriteString(s string) (int, error) {
	r.written = true
	return r.body.WriteString(s)
}

func (r *recorder) Size() int {
	if !r.written {
		return -1
	}
	return r.body.Len()
}
