//go:build ignore

// It takes the method as it came. A method may be any word that a client makes up, and
// each makes a series.
//
//workshop:caught-by TestRequests/says_other_of_a_method_that_there_is_not
//workshop:says A client may send any word as one
package redmetrics

func methodLabel(method string) string { return method }
