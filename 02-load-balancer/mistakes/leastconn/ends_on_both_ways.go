//go:build ignore

// It defers End, and has watch call it, too. A deferred function runs on every
// way out, also on the good one, where the answer's body is still to come: each
// answer counts down twice, and the backend looks less busy than an idle one.
//
//workshop:caught-by TestCount/counts_until_the_body_was_read_to_its_end
//workshop:says End was called twice, by RoundTrip when it returned
package leastconn

import "net/http"

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.backend.Begin()
	defer c.backend.End()
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	resp.Body = watch(resp.Body, c.backend.End)
	return resp, nil
}
