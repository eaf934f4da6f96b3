//go:build ignore

// It asks the environment for a proxy, as http.DefaultTransport does. A variable
// that someone set in a shell, for another program, then sends all requests to
// the backends through a third party.
//
//workshop:caught-by TestNew/takes_no_proxy_from_the_environment
//workshop:says that is where the dial must go
package upstream

import (
	"context"
	"net"
	"net/http"
)

func New(c Config) *http.Transport {
	c = c.withDefaults()
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
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
		DisableCompression:    true,
	}
}
