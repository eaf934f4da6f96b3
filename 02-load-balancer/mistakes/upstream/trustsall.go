//go:build ignore

// It looks at no certificate, so that backends with one of their own making can
// be reached. But then anyone on the way can say that he is the backend, and
// gets all requests: Config.TLS names the authorities to trust.
//
//workshop:caught-by TestNew/trusts_no_backend_that_it_should_not
//workshop:says anyone on the way can be the backend
package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

func New(c Config) *http.Transport {
	c = c.withDefaults()
	config := &tls.Config{}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	config.InsecureSkipVerify = true
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
			defer cancel()
			return c.Dial(ctx, network, addr)
		},
		TLSClientConfig:       config,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   c.TLSTimeout,
		ResponseHeaderTimeout: c.HeaderTimeout,
		ExpectContinueTimeout: c.ContinueTimeout,
		MaxIdleConnsPerHost:   c.MaxIdle,
		IdleConnTimeout:       c.IdleTimeout,
		DisableCompression:    true,
	}
}
