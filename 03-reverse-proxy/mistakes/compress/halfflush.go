//go:build ignore

// It flushes the ResponseWriter below, and not the encoder, which waits for more so
// as to compress it better. What the handler wrote is still in there, and the
// client waits.
//
//workshop:caught-by TestStream/flushes_what_is_below_the_minimum
//workshop:says this much of it could be decoded
package compress

import "net/http"

func (w *writer) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.out == nil {
		if err := w.begin(nil, true); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}
