//go:build ignore

// It remembers every answer. When the database was gone for a second, the customer
// is told of it for a day: each time that she asks again, she gets the same 503.
//
//workshop:caught-by TestDo/forgets_what_failed
//workshop:says whom we failed once we would fail for a day
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

	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if err == nil {
			k.keepLocked(name, answer.clone())
		} else {
			delete(k.records, name)
		}
	}()
	answer, err = handle(named(ctx, name))
	return answer, false, err
}
