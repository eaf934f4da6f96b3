//go:build ignore

// It looks whether the key is known, makes the order, and then notes the key. The
// second click comes in between, finds nothing, and makes a second order: check,
// then act. What was looked at must be noted in the same lock.
//
//workshop:caught-by TestDo/refuses_the_second_click_while_the_first_is_under_way
//workshop:says Put the record there before you call handle
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
	k.mu.Unlock()

	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if err == nil && final(answer.Status) {
			k.records[name] = &record{body: sum}
			k.keepLocked(name, answer.clone())
		}
	}()
	answer, err = handle(named(ctx, name))
	return answer, false, err
}
