//go:build ignore

// It frees the key behind the call of handle. A panic in there never comes so far:
// the key stays under way for ever, and each later request is refused by it.
//
//workshop:caught-by TestDo/frees_the_key_in_a_panic
//workshop:says Delete it in a deferred function
package idempotency

import (
	"context"
	"crypto/sha256"
)

func (k *Keys) Do(ctx context.Context, customer, key string, body []byte, handle func(ctx context.Context) (Answer, error)) (answer Answer, replayed bool, err error) {
	name, sum := id{customer, key}, sha256.Sum256(body)
	k.mu.Lock()
	k.expireLocked()
	if known := k.records[name]; known != nil {
		defer k.mu.Unlock()
		switch {
		case known.body != sum:
			return Answer{}, false, ErrMismatch
		case known.answer == nil:
			return Answer{}, false, ErrInFlight
		}
		return known.answer.clone(), true, nil
	}
	if !k.roomLocked() {
		k.mu.Unlock()
		return Answer{}, false, ErrFull
	}
	k.records[name] = &record{body: sum}
	k.mu.Unlock()

	answer, err = handle(named(ctx, name))
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && final(answer.Status) {
		k.keepLocked(name, answer.clone())
	} else {
		delete(k.records, name)
	}
	return answer, false, err
}
