//go:build ignore

// It refuses what is too old, and takes what is from the future. Such an event stays
// tolerable for as long as its time has not come, and longer than its ID is
// remembered: who has one can send it again.
//
//workshop:caught-by TestVerify/refuses_what_is_from_the_future
//workshop:says Tolerance is meant either way
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
	if age := now.Sub(at); age > v.tolerance {
		return Event{}, fmt.Errorf("%w: %v ago, tolerated are %v", ErrTime, age, v.tolerance)
	}
	event, err := parse(payload)
	if err != nil {
		return Event{}, err
	}
	switch err := v.seen.add(event.ID, now); {
	case errors.Is(err, ErrReplayed):
		return event, err
	case err != nil:
		return Event{}, err
	}
	return event, nil
}
