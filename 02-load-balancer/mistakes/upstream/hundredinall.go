//go:build ignore

// It begins with a copy of http.DefaultTransport, and raises the pool for each
// backend. The copy has a second bound, 100 connections for all backends
// together, which is still there: two backends already push each other out.
//
//workshop:caught-by TestNew/keeps_them_for_every_backend
//workshop:says A bound on all backends together
package upstream

import (
	"context"
	"net"
	"net/http"
)

func New(c Config) *http.Transport {
	c = c.withDefaults()
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.Proxy = nil
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
		defer cancel()
		return c.Dial(ctx, network, addr)
	}
	tr.TLSClientConfig = c.TLS.Clone()
	tr.TLSHandshakeTimeout = c.TLSTimeout
	tr.ResponseHeaderTimeout = c.HeaderTimeout
	tr.ExpectContinueTimeout = c.ContinueTimeout
	tr.MaxIdleConnsPerHost = c.MaxIdle
	tr.IdleConnTimeout = c.IdleTimeout
	tr.DisableCompression = true
	return tr
}
