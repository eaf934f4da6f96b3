//go:build ignore

// It refuses whenever the backend is not available, so also when it is down or
// ejected. That is a guess, and somebody may have had a reason to try all the
// same: where all are bad, one that may be is better than none.
//
//workshop:caught-by TestRefuse/leaves_other_states_alone
//workshop:says is better than none
package drain

import (
	"fmt"
	"net/http"
)

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if !r.backend.Available() {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("%w: %s", ErrDraining, r.backend.Name())
	}
	return r.next.RoundTrip(req)
}
