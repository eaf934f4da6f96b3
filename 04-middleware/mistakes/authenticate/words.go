//go:build ignore

// It takes the field apart into words, and takes the second one. What stands behind it
// is not looked at: "Bearer A, Bearer B" is A here, and may have been B to whoever stood
// before us.
//
//workshop:caught-by TestBearer/cuts_nothing_off_behind
//workshop:says one of them was chosen
package authenticate

import (
	"net/http"
	"strings"
)

func Bearer(h http.Header) (token string, sent bool) {
	fields := h["Authorization"]
	if len(fields) != 1 {
		return "", len(fields) > 1
	}
	words := strings.Fields(fields[0])
	if len(words) == 0 || !strings.EqualFold(words[0], "Bearer") {
		return "", false
	}
	if len(words) == 1 {
		return "", true
	}
	return words[1], true
}
