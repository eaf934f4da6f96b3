//go:build ignore

// It leaves it to the Picker not to choose a backend that drains. But that one
// may have chosen just before, and its request meets a backend that was stopped.
//
//workshop:caught-by TestRefuse/sends_nothing_once_it_drains
//workshop:says the request is refused, with ErrDraining
package drain

import "net/http"

func (r *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.next.RoundTrip(req)
}
