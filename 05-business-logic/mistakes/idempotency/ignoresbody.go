//go:build ignore

// It looks at the key alone. A client that uses one for another order gets the first
// one's answer, and believes that what it has ordered now is on its way.
//
//workshop:caught-by TestDo/refuses_another_order_with_the_same_key
//workshop:says The first answer would say that stew is coming
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
		if known.answer == nil {
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
