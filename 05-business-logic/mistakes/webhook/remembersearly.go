//go:build ignore

// It remembers the event before it looks at the time. So an old event that somebody
// sends again is refused, and yet its ID is taken: when Stripe, who had no answer,
// sends the true one, that is refused as a replay, and the payment is never seen.
//
//workshop:caught-by TestVerify/remembers_nothing_that_was_refused
//workshop:says remember it last
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
	if age := now.Sub(at); age > v.tolerance || age < -v.tolerance {
		return Event{}, fmt.Errorf("%w: %v ago, tolerated are %v", ErrTime, age, v.tolerance)
	}
	return event, nil
}
