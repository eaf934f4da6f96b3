//go:build ignore

// It hands Dial over as it is. When a backend's machine is gone, no packet comes
// back, not even a refusal: the kernel goes on trying for minutes, and the request
// waits with it though other backends are free.
//
//workshop:caught-by TestNew/gives_up_a_dial_in_time
//workshop:says a backend whose machine is gone
package upstream

import "net/http"

func New(c Config) *http.Transport {
	c = c.withDefaults()
	return &http.Transport{
		DialContext:           c.Dial,
		TLSClientConfig:       c.TLS.Clone(),
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   c.TLSTimeout,
		ResponseHeaderTimeout: c.HeaderTimeout,
		ExpectContinueTimeout: c.ContinueTimeout,
		MaxIdleConnsPerHost:   c.MaxIdle,
		IdleConnTimeout:       c.IdleTimeout,
		DisableCompression:    true,
	}
}
