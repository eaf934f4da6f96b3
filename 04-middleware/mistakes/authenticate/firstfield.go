//go:build ignore

// It asks for the field with Get, which returns the first one of several. Whoever
// stood before us may have checked the last one, so a request with two of them
// passes the one check as Bob, and this one as Ada.
//
//workshop:caught-by TestBearer/chooses_none_of_several
//workshop:says Who stood before us may have checked the one
package authenticate

import (
	"net/http"
	"strings"
)

func Bearer(h http.Header) (token string, sent bool) {
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}
