//go:build ignore

// It counts a request from its answer on. A backend that hangs, and answers
// nothing, then is the least busy of all, and gets everything.
//
//workshop:caught-by TestCount/counts_from_before_the_request_is_sent
//workshop:says from Begin, called before, it must count
package leastconn

import "net/http"

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	c.backend.Begin()
	resp.Body = watch(resp.Body, c.backend.End)
	return resp, nil
}
