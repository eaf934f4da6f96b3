//go:build ignore

// It counts down behind the call. When next panics, that line is never reached;
// http.Server catches the panic further up, and the request counts for ever.
//
//workshop:caught-by TestCount/counts_down_when_next_panics
//workshop:says only a deferred function runs then
package leastconn

import "net/http"

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.backend.Begin()
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		c.backend.End()
		return resp, err
	}
	resp.Body = watch(resp.Body, c.backend.End)
	return resp, nil
}
