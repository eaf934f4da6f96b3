//go:build ignore

// It takes each 5xx for a fault that passes. But a 501 says that the provider does not
// know this method, and a 505 that it does not know this version of HTTP: the next
// attempt will not teach it.
//
//workshop:caught-by TestWorth/no_answer_that_is_final
//workshop:says none of the six
package payment

import (
	"crypto/tls"
	"errors"
	"net/http"
)

func Worth(resp *http.Response, err error) bool {
	if err != nil {
		var untrusted *tls.CertificateVerificationError
		return !errors.As(err, &untrusted)
	}
	if resp.StatusCode < 400 {
		return false
	}
	switch resp.Header.Get("Stripe-Should-Retry") {
	case "true":
		return true
	case "false":
		return false
	}
	return resp.StatusCode >= 500 || resp.StatusCode == http.StatusConflict || resp.StatusCode == http.StatusTooManyRequests
}
