//go:build ignore

// It lets the transport ask for gzip where the client did not, and unpack the
// answer. The load balancer then works for nothing, loses Content-Length, and
// hides from the client what the backend sent.
//
//workshop:caught-by TestNew/leaves_compression_to_the_client
//workshop:says asks for gzip by itself
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
		ExpectContinueTimeout: c.ContinueTimeout,
		MaxIdleConnsPerHost:   c.MaxIdle,
		IdleConnTimeout:       c.IdleTimeout,
	}
}
