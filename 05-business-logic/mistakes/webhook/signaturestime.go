//go:build ignore

// It remembers the event from when it was signed, and not from when it was here. One
// that took a while to arrive is forgotten earlier by as much, and is taken a second
// time when Stripe sends it again.
//
//workshop:caught-by TestVerify/remembers_as_long_as_it_could_be_replayed
//workshop:says not that of the signature
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
		return Event{}, fmt.Errorf("%w: %v ago", ErrTime, age)
	}
	event, err := parse(payload)
	if err != nil {
		return Event{}, err
	}
	switch err := v.seen.add(event.ID, at); {
	case errors.Is(err, ErrReplayed):
		return event, err
	case err != nil:
		return Event{}, err
	}
	return event, nil
}
