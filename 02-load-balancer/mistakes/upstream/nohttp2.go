//go:build ignore

// It brings a dial and a TLS configuration of its own, and takes HTTP/2 for
// granted. net/http then holds back, for fear that they do not fit it, and speaks
// HTTP/1.1 without a word.
//
//workshop:caught-by TestNew/speaks_HTTP_2_where_it_is_offered
//workshop:says unless ForceAttemptHTTP2 says so
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
		TLSHandshakeTimeout:   c.TLSTimeout,
		ResponseHeaderTimeout: c.HeaderTimeout,
		ExpectContinueTimeout: c.ContinueTimeout,
		MaxIdleConnsPerHost:   c.MaxIdle,
		IdleConnTimeout:       c.IdleTimeout,
		DisableCompression:    true,
	}
}
