//go:build ignore

// It calls handle in a goroutine of its own, and waits for that. A panic there ends the
// whole process, with everybody's orders: the one who recovers panics stands in the
// goroutine of the request.
//
//workshop:caught-by TestDo/calls_handle_in_its_own_goroutine
//workshop:says nobody could recover a panic there
package idempotency

import (
	"context"
	"crypto/sha256"
)

func (k *Keys) Do(ctx context.Context, customer, key string, body []byte, handle func(ctx context.Context) (Answer, error)) (answer Answer, replayed bool, err error) {
	name, sum := id{customer, key}, sha256.Sum256(body)
	k.mu.Lock()
	k.expireLocked()
	known := k.records[name]
	if known != nil {
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
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer, err = handle(named(ctx, name))
	}()
	<-done
	return answer, false, err
}
