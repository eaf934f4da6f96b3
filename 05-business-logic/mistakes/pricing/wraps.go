//go:build ignore

// It adds and multiplies, and never looks whether that fits. Go wraps round
// without a word: a price becomes negative, or 0, and the restaurant pays.
//
//workshop:caught-by TestOverflow/a_line_that_does_not_fit_is_an_error
//workshop:says never a wrong price
package pricing

func plus(a, b int64) (sum int64, fits bool) { return a + b, true }

func times(a, b int64) (product int64, fits bool) { return a * b, true }
