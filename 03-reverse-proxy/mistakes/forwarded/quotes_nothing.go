//go:build ignore

// It puts quotes around the host, and looks no further. A quote inside the host,
// which the client chose, ends the string there: the rest of it is read as
// parameters that the proxy seems to have written.
//
//workshop:caught-by TestForwarded/keeps_the_host_inside_its_quotes
//workshop:says the client has written a parameter for= of its own
package forwarded

func quote(s string) string { return `"` + s + `"` }
