//go:build ignore

// When sending fails, it returns, and nobody calls End. Each failure then makes
// the backend look busier by one, for ever: once it has recovered, it gets no
// requests any more, and nothing in the logs says why.
//
//workshop:caught-by TestCount/counts_down_on_an_error
//workshop:says Those that failed are over
package leastconn

import "net/http"

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.backend.Begin()
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	resp.Body = watch(resp.Body, c.backend.End)
	return resp, nil
}
