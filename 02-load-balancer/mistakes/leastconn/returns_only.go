//go:build ignore

// It calls End wherever it returns. A panic further down leaves RoundTrip
// without a return (package net/http catches it later, and the program lives
// on), and the backend looks busier by one for ever.
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
