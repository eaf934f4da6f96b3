//go:build ignore

// It parses the event, and verifies it then. So anybody on the internet can feed the
// parser, with megabytes if they like, and learn from the answer how far it came.
// What was not signed by Stripe is no event, and nothing to be read.
//
//workshop:caught-by TestVerify/parses_nothing_that_is_not_from_Stripe
//workshop:says Verify first
package webhook

import (
	"errors"
	"fmt"
)

func (v *Verifier) Verify(payload []byte, header string) (Event, error) {
	event, err := parse(payload)
	if err != nil {
		return Event{}, err
	}
	at, err := v.signed(payload, header)
	if err != nil {
		return Event{}, err
	}
	now := v.now()
	if age := now.Sub(at); age > v.tolerance || age < -v.tolerance {
		return Event{}, fmt.Errorf("%w: %v ago, tolerated are %v", ErrTime, age, v.tolerance)
	}
	switch err := v.seen.add(event.ID, now); {
	case errors.Is(err, ErrReplayed):
		return event, err
	case err != nil:
		return Event{}, err
	}
	return event, nil
}
