//go:build ignore

// It decides by the first Write alone. Templates and encoders write in small
// pieces, so a long page that begins with a short one is never compressed.
//
//workshop:caught-by TestWhich/none_that_turns_out_to_be_below_the_minimum
//workshop:says 1,000 bytes in 10 calls of Write
package compress

import "net/http"

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.out == nil {
		if err := w.begin(p, len(p) >= w.c.minSize); err != nil {
			return 0, err
		}
	}
	return w.out.Write(p)
}
