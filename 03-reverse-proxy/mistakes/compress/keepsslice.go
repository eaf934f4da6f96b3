//go:build ignore

// It holds back the slice that it was given, and not a copy. The caller fills that
// slice anew for its next Write, so what was held back changes, and is sent twice.
//
//workshop:caught-by TestStream/does_not_keep_the_slice
//workshop:says what is held back has to be a copy
package compress

import "net/http"

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.out == nil {
		if len(w.held)+len(p) < w.c.minSize {
			if w.held == nil {
				w.held = p
			} else {
				w.held = append(w.held, p...)
			}
			return len(p), nil
		}
		if err := w.begin(p, true); err != nil {
			return 0, err
		}
	}
	return w.out.Write(p)
}
