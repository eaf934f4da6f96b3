//go:build ignore

// It looks for "TE", as the standard writes it. In Go, the keys of a header are
// in one form, with a capital at the beginning of each word only: that field's
// key is "Te", and it slips through.
//
//workshop:caught-by TestCopy/leaves_out_the_list
//workshop:says As a key of http.Header it is "Te"
package hopbyhop

func perHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info":
		return true
	}
	return false
}
