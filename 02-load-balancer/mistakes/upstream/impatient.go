//go:build ignore

// It does not wait for the backend's 100: the body follows the header at once. What the client wanted to know, whether its large
// upload is welcome at all, is answered when it has been sent.
//
//workshop:caught-by TestNew/keeps_a_body_back_until_it_is_wanted
//workshop:says its body must not be sent
package upstream

import (
	"context"
	"net"
	"net/http"
)

func New(c Config) *http.Transport {
	c = c.withDefaults()
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
			defer cancel()
			return c.Dial(ctx, network, addr)
		},
		TLSClientConfig:       c.TLS.Clone(),
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   c.TLSTimeout,
		ResponseHeaderTimeout: c.HeaderTimeout,
		MaxIdleConnsPerHost:   c.MaxIdle,
		IdleConnTimeout:       c.IdleTimeout,
		DisableCompression:    true,
	}
}
