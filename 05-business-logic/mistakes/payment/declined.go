//go:build ignore

// It takes every answer that is not a success for worth another attempt. But most
// of 4xx are final: a declined card is declined again, and the bank may hold that
// against the shop; a request that is wrong is wrong the next time, too.
//
//workshop:caught-by TestWorth/no_answer_that_is_final
//workshop:says the card was declined
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
	return resp.Header.Get("Stripe-Should-Retry") != "false"
}
