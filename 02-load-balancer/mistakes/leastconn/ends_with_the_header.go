//go:build ignore

// It counts down when RoundTrip returns. But then only the header has come. A
// backend that sends long answers to a hundred clients looks idle, and gets the
// next hundred.
//
//workshop:caught-by TestCount/counts_until_the_body_was_read_to_its_end
//workshop:says its body is still on its way
package leastconn

import "net/http"

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	c.backend.Begin()
	defer c.backend.End()
	return c.next.RoundTrip(req)
}
