//go:build ignore

// It sets one deadline on the whole connection, so that nothing can take longer.
// A silent backend is cut by it, and so is every answer that comes in pieces, and
// every connection that has served well for so long.
//
//workshop:caught-by TestNew/lets_a_slow_stream_run
//workshop:says A timeout on the whole request or connection cuts streams
package upstream

import (
	"context"
	"net"
	"net/http"
	"time"
)

func New(c Config) *http.Transport {
	c = c.withDefaults()
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
			defer cancel()
			conn, err := c.Dial(ctx, network, addr)
			if err == nil {
				conn.SetDeadline(time.Now().Add(c.HeaderTimeout))
			}
			return conn, err
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
