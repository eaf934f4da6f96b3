//go:build ignore

// It asks only the ResponseWriter directly below whether it can flush. One middleware between
// here and the server that wraps it, as for counting bytes, and nothing is flushed any
// more: nobody gets an error, and events arrive when the answer is over.
//
//workshop:caught-by TestStream/flushes_through_who_stands_below
//workshop:says http.NewResponseController finds it
package compress

import "net/http"

func (w *writer) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.out == nil {
		if err := w.begin(nil, true); err != nil {
			return err
		}
	}
	if w.encoder != nil {
		if err := w.encoder.Flush(); err != nil {
			return err
		}
	}
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	return nil
}
