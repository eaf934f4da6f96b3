//go:build ignore

// It holds the lock while it handles an order. So there is one order at a time in the
// whole shop, and a payment that takes ten seconds makes all others wait for it.
//
//workshop:caught-by TestDo/does_not_hold_up_another_order
//workshop:says the lock is held while handle runs
package idempotency

import (
	"context"
	"crypto/sha256"
)

func (k *Keys) Do(ctx context.Context, customer, key string, body []byte, handle func(ctx context.Context) (Answer, error)) (answer Answer, replayed bool, err error) {
	name, sum := id{customer, key}, sha256.Sum256(body)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expireLocked()
	if known := k.records[name]; known != nil {
		switch {
		case known.body != sum:
			return Answer{}, false, ErrMismatch
		case known.answer == nil:
			return Answer{}, false, ErrInFlight
		}
		return known.answer.clone(), true, nil
	}
	if !k.roomLocked() {
		return Answer{}, false, ErrFull
	}
	k.records[name] = &record{body: sum}

	defer func() {
		if err == nil && final(answer.Status) {
			k.keepLocked(name, answer.clone())
		} else {
			delete(k.records, name)
		}
	}()
	answer, err = handle(named(ctx, name))
	return answer, false, err
}
