//go:build ignore

// It says that all was written, whatever came of it. A handler that streams asks only this:
// when the client hangs up, it goes on for hours, and works for nobody.
//
//workshop:caught-by TestStream/says_that_the_client_has_left
//workshop:says for somebody who has left
package compress

import "net/http"

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.out == nil {
		if len(w.held)+len(p) < w.c.minSize {
			w.held = append(w.held, p...)
			return len(p), nil
		}
		if err := w.begin(p, true); err != nil {
			return 0, err
		}
	}
	_, _ = w.out.Write(p)
	return len(p), nil
}
