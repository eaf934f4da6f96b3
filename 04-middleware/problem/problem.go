// Package problem is the form in which a refusal is told: a problem document
// (RFC 9457). A bouncer who turns a guest away says why, and what to do.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/request"
)

// ContentType is that of a problem document.
const ContentType = "application/problem+json"

// Details is a problem. Nothing in it may come from inside: no error's text, no
// stack, no name of a machine.
type Details struct {
	// Type identifies the kind of problem, as a URI. Empty means "about:blank",
	// which says no more than Status does.
	Type string `json:"type,omitempty"`
	// Title is the kind in words. Empty means the status' own text.
	Title string `json:"title"`
	// Status is the answer's.
	Status int `json:"status"`
	// Detail says what is wrong with this request, and what to do next.
	Detail string `json:"detail,omitempty"`
	// Instance identifies this occurrence: the request's ID, as a URI reference.
	// Abort sets it where it is empty and the request has an ID.
	Instance string `json:"instance,omitempty"`
}

// Abort ends c with the problem d, and no handler behind this one is called. If
// an answer was begun already it is left as it is: two cannot be sent.
func Abort(c *gin.Context, d Details) {
	c.Abort()
	if !c.Writer.Written() {
		if d.Instance == "" {
			d.Instance = request.ID(c.Request.Context())
		}
		Write(c.Writer, d)
	}
}

// Write sends d as the answer. No cache may keep it, since what is wrong now
// may be right in a minute.
func Write(w http.ResponseWriter, d Details) {
	if d.Title == "" {
		d.Title = http.StatusText(d.Status)
	}
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // of strings and a number
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	for _, name := range []string{"Content-Encoding", "Content-Range", "Content-Language", "Content-Disposition", "Etag", "Last-Modified", "Expires"} {
		h.Del(name) // of the answer that this one takes the place of
	}
	w.WriteHeader(d.Status)
	_, _ = w.Write(text) // to a client that may be gone
}
