//go:build ignore

// It closes the body of what it refuses, and forgets that there may be none: the
// Body of a request that a client has made is nil then. The panic ends the
// request without an answer, and no other backend is tried.
//
//workshop:caught-by TestRefuse/sends_nothing_once_it_drains
//workshop:says Body is nil where there is none
package drain

import (
	"fmt"
	"net/http"
)

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.backend.State() == "draining" {
		_ = req.Body.Close()
		return nil, fmt.Errorf("%w: %s", ErrDraining, r.backend.Name())
	}
	return r.next.RoundTrip(req)
}
