//go:build ignore

// It leaves the size of the idle pool to net/http, which keeps 2 connections for
// each backend. Under load nearly every request dials anew, and each connection
// that was closed occupies its port for a minute, until none is left.
//
//workshop:caught-by TestNew/keeps_a_connection_for_each_caller
//workshop:says keeps 2 for each backend
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
		IdleConnTimeout:       c.IdleTimeout,
		DisableCompression:    true,
	}
}
