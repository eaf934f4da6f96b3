//go:build ignore

// It holds the lock until Do returns (`defer` at the top), and its deferred function
// takes the lock once more. A sync.Mutex does not know who has locked it: whoever locks
// it twice waits for himself, for ever. Give it back before handle is called.
//
//workshop:caught-by TestDo/returns_what_handle_answers
//workshop:says a Lock where it is locked already
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
