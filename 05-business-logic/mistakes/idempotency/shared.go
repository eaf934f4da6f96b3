//go:build ignore

// It gives out the answer that it keeps. Its Header is a map, and its Body a slice:
// what one caller adds to them, for one client, all later ones get.
//
//workshop:caught-by TestDo/keeps_the_answer_as_it_was
//workshop:says clone what you keep, and what you give out
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
		return *known.answer, true, nil
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
			k.keepLocked(name, answer)
		} else {
			delete(k.records, name)
		}
	}()
	answer, err = handle(named(ctx, name))
	return answer, false, err
}
