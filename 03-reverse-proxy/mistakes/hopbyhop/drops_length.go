//go:build ignore

// It takes Content-Length for a part of the framing, as Transfer-Encoding is. But
// that one is about a connection, and the length is about the content: without
// it, the answer to HEAD no longer tells how large the file is.
//
//workshop:caught-by TestCopy/keeps_what_is_about_the_content
//workshop:says it is about the content
package hopbyhop

func perHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Content-Length", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info":
		return true
	}
	return false
}
