package compress

import (
	"io"
	"maps"
	"net/http"
	"strings"

	"clicktocode.example/03-reverse-proxy/coding"
	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

// begin decides whether the answer is compressed, sends its header, sets w.out, and
// sends what was held back. It is called once, after WriteHeader. next is what comes
// behind that, where it is there; begin looks at it, but does not send it. enough
// tells that there is enough content, or that nobody can say.
func (w *writer) begin(next []byte, enough bool) error {
	h := w.Header()
	if w.header != nil {
		// What was set after WriteHeader is not for the header. It may be a trailer.
		later := maps.Clone(h)
		replace(h, w.header)
		w.header = nil
		defer func() { replace(h, later) }()
	}
	if _, is := h["Content-Type"]; !is && h.Get("Content-Encoding") == "" && len(w.held)+len(next) > 0 {
		// As net/http does, which cannot tell once it is compressed.
		h.Set("Content-Type", http.DetectContentType(append(w.held, next[:min(len(next), 512)]...)))
	}
	w.out = w.ResponseWriter
	switch {
	case w.status == http.StatusNotModified:
		// What its 200 would say is unknown here. A Vary too many costs a cache
		// some room; one too few, and it stores that the coding makes no difference.
		addVary(h)
		if tag := suffixed(h.Get("Etag"), w.coding); strings.Contains(w.asked, tag) && h.Get("Etag") != "" {
			h.Set("Etag", tag) // the tag that this client knows it by
		}
	case w.c.may(w.status, h):
		name := w.coding
		if !enough {
			name = acceptencoding.Identity
		}
		n, ok := length(h)
		label(h, name)
		switch {
		case name == acceptencoding.Identity:
		case w.head:
			w.out = io.Discard // net/http would count it, to make a Content-Length
		default:
			encoder, err := coding.NewWriter(name, w.ResponseWriter)
			if err != nil {
				return err
			}
			w.encoder, w.out, w.missing = encoder, (*counter)(w), -1
			if ok {
				w.missing = n
			}
		}
	}
	w.ResponseWriter.WriteHeader(w.status)
	if len(w.held) == 0 {
		return nil
	}
	_, err := w.out.Write(w.held)
	w.held = nil
	return err
}

// counter writes to the encoder, and counts what is missing.
type counter writer

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.encoder.Write(p)
	if c.missing >= 0 {
		c.missing = max(0, c.missing-int64(n))
	}
	return n, err
}

// WriteHeader notes the status, and begins at once where nothing that is written
// could make a difference. All but the first status are ignored, except 1xx.
func (w *writer) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status) // 103 Early Hints, say: the answer is still to come
		return
	}
	w.status = status
	h := w.Header()
	_, sized := length(h)
	if h.Get("Content-Type") != "" && (sized || w.coding == acceptencoding.Identity || !w.c.may(status, h)) ||
		status == http.StatusSwitchingProtocols {
		_ = w.begin(nil, sized) // nothing is held back, so nothing is written that could fail
		return
	}
	w.header = h.Clone()
}

// finish is called when the handler has returned.
func (w *writer) finish() {
	if w.status == 0 {
		return // nothing was written, or the connection is no longer ours
	}
	if w.out == nil {
		_ = w.begin(nil, false) // this is all, and it is too little
	}
	if w.encoder == nil {
		return
	}
	if w.missing > 0 {
		// As it is, net/http would notice. Compressed, half a page would look like a
		// whole one, and be cached as such.
		panic(http.ErrAbortHandler)
	}
	_ = w.encoder.Close() // if that fails, the client has left
}

// Flush is FlushError, for those who do not ask.
func (w *writer) Flush() { _ = w.FlushError() }

// Unwrap is for http.ResponseController: deadlines, hijacking, full duplex.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// replace makes h hold what from holds, and nothing else.
func replace(h, from http.Header) {
	clear(h)
	maps.Copy(h, from)
}
