//go:build ignore

// It refuses the request, and leaves its body open. Whoever writes into the
// other end waits for a reader who never comes.
//
//workshop:caught-by TestRefuse/closes_the_body_of_what_it_refuses
//workshop:says must close the request's body
package drain

import (
	"fmt"
	"net/http"
)

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.backend.State() == "draining" {
		return nil, fmt.Errorf("%w: %s", ErrDraining, r.backend.Name())
	}
	return r.next.RoundTrip(req)
}
