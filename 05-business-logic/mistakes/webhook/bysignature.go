//go:build ignore

// It remembers the signature, where it should remember the event. Stripe signs an
// event anew each time when it sends it: the second delivery of one that was applied
// looks new, and is applied twice.
//
//workshop:caught-by TestVerify/knows_an_event_that_was_signed_anew
//workshop:says Its ID is what it was
package webhook

import (
	"errors"
	"fmt"
)

func (v *Verifier) Verify(payload []byte, header string) (Event, error) {
	at, err := v.signed(payload, header)
	if err != nil {
		return Event{}, err
	}
	now := v.now()
	if age := now.Sub(at); age > v.tolerance || age < -v.tolerance {
		return Event{}, fmt.Errorf("%w: %v ago, tolerated are %v", ErrTime, age, v.tolerance)
	}
	event, err := parse(payload)
	if err != nil {
		return Event{}, err
	}
	switch err := v.seen.add(header, now); {
	case errors.Is(err, ErrReplayed):
		return event, err
	case err != nil:
		return Event{}, err
	}
	return event, nil
}
