//go:build ignore

// It limits how long connecting may take, and not how long the answer may. A
// backend whose program hangs still accepts connections, because its kernel does:
// each request to it then waits for ever, and holds its client and its memory.
//
//workshop:caught-by TestNew/gives_up_a_silent_backend_in_time
//workshop:says the wait for the answer's header must end
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
		ExpectContinueTimeout: c.ContinueTimeout,
		MaxIdleConnsPerHost:   c.MaxIdle,
		IdleConnTimeout:       c.IdleTimeout,
		DisableCompression:    true,
	}
}
