//go:build ignore

// It knows keys, and not whose they are. Clients make keys up, and two of them make
// up the same: then the second customer is shown the first one's order, and gets none.
//
//workshop:caught-by TestDo/keeps_customers_apart
//workshop:says hers is none of his business
package idempotency

import (
	"context"
	"crypto/sha256"
)

func (k *Keys) Do(ctx context.Context, customer, key string, body []byte, handle func(ctx context.Context) (Answer, error)) (answer Answer, replayed bool, err error) {
	name, sum := id{"", key}, sha256.Sum256(body)
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
		if err == nil && final(answer.Status) {
			k.keepLocked(name, answer.clone())
		} else {
			delete(k.records, name)
		}
	}()
	answer, err = handle(named(ctx, name))
	return answer, false, err
}
