// Package idempotency makes one request of all that carry the same key.
//
// A customer clicks twice. Or the answer to one click is lost on its way, and the
// browser asks again, since it cannot know how far the first request came. A
// second POST /orders is a second dinner, and a second payment. So the client
// makes up a key for each thing that it wants done, and sends it along, each time
// that it asks for it: the field Idempotency-Key. In the story, the guest's order
// slip has a number, and the chef looks at it before he lights the fire.
//
// What it knows is in the memory of one process. With three replicas, a second
// request may come to another one, and after a restart nothing is known. So this
// is the fast and friendly half of a promise whose hard half is the order's ID:
// see ID, and package order.
//
// When not to use it: for GET, PUT and DELETE, which HTTP has defined so that to
// do them twice is to do them once (RFC 9110 §9.2.2).
//
// Source: draft-ietf-httpapi-idempotency-key-header; Stripe's API reference,
// "Idempotent requests"; "Implementing Stripe-like Idempotency Keys in Postgres"
// (B. Leach, 2017).
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Why Do does not call handle.
var (
	// ErrInFlight: a request with this key has not been answered yet (status 409).
	ErrInFlight = errors.New("idempotency: a request with this key is under way")
	// ErrMismatch: this key was used with another body (status 422).
	ErrMismatch = errors.New("idempotency: this key was used for another request")
	// ErrFull: as many requests as there may be keys are under way (status 503).
	ErrFull = errors.New("idempotency: too many requests under way")
)

// Answer is an answer to a request, as it was sent and will be sent again.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

func (a Answer) clone() Answer {
	return Answer{a.Status, a.Header.Clone(), bytes.Clone(a.Body)}
}

// Config bounds what is remembered. The zero value is fine.
type Config struct {
	// Max is how many keys are known at once, those under way included. If there is
	// no room for another one, the answer that is oldest is forgotten before its
	// time. So what is needed is Max times an answer, each of a few kilobytes. 0 means
	// 10,000; it must not be negative.
	Max int
	// Lifetime is how long an answer is remembered, from when it was there: longer
	// than any client goes on asking. 0 means 24 h; it must not be negative.
	Lifetime time.Duration
	// Now is the clock. nil means time.Now. It is not called by two goroutines at
	// once, unless it is also called by others.
	Now func() time.Time
}

// Keys are the keys that are known. Its methods may be called by many goroutines
// at once. Make it with New.
type Keys struct {
	config Config // without zeros

	mu       sync.Mutex     // guards what follows, and the records; never held while handle runs
	records  map[id]*record // one for each key that is known
	answered []id           // those with an answer, the oldest first
}

// id is one customer's key. Another's is another key, whatever its text.
type id struct{ customer, key string }

// record is what is known of a key.
type record struct {
	body   [sha256.Size]byte // the body's hash: bodies are long, and private
	answer *Answer           // nil while the request is under way
	until  time.Time         // when the answer is forgotten
}

// New returns Keys that know none. err names all faults of c at once.
func New(c Config) (*Keys, error) {
	var faults []error
	if c.Max < 0 {
		faults = append(faults, fmt.Errorf("idempotency: Max is %d, must not be negative", c.Max))
	}
	if c.Lifetime < 0 {
		faults = append(faults, fmt.Errorf("idempotency: Lifetime is %s, must not be negative", c.Lifetime))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.Max == 0 {
		c.Max = 10_000
	}
	if c.Lifetime == 0 {
		c.Lifetime = 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Keys{config: c, records: map[id]*record{}}, nil
}

// Do returns handle's answer to a request of customer that carries key, which is
// one as Parse returns it. For all requests with the same customer, key and body,
// one is handled:
//
//   - The first one calls handle, in its own goroutine, and returns what that does.
//   - Those that come while handle runs return ErrInFlight, at once.
//   - Those that come afterwards return the first one's answer, and replayed is true.
//     It is the caller's own, and may be changed.
//   - Those with another body return ErrMismatch, whenever they come: the key was
//     made up for something else, so one of the two is a client's fault.
//
// Only what is final is remembered: see final. Whether ctx has ended meanwhile makes no
// difference. If handle returns an error, or an answer that is not final, the first one
// gets it, and the key is as if it had never been used, so that the customer can ask
// again; and so it is if handle panics, or ends its goroutine (runtime.Goexit), which
// passes through.
//
// What one customer does with a key does not concern another who uses the same.
// handle runs in ctx, from which ID finds the request's name. No lock is held then.
//
// Answers are forgotten when their time is over, and some before it: see Config.
// Where there is no room even so, it is ErrFull. Errors may be wrapped: use errors.Is.
func (k *Keys) Do(ctx context.Context, customer, key string, body []byte, handle func(ctx context.Context) (Answer, error)) (answer Answer, replayed bool, err error) {
	// TODO(idempotency): Under the lock, forget what is too old (expireLocked) and look at the record:
	// none, another body, no answer yet, or an answer. If there is none, make room
	// (roomLocked) and put one there before you unlock. Without the lock, call handle
	// in the context that named makes. Then, in a deferred function, keep the answer
	// (keepLocked) or delete the record.
	return Answer{}, false, nil
}

// final reports whether an answer with this status is remembered: what was asked
// for was done (2xx, 3xx), or it was tried, and decided against the customer (402,
// 409). The others may ask again under the same key. A 400 or a 422 says that the
// request is at fault, so nothing was begun, and it may be sent again corrected; a
// 429 or a 5xx says nothing for good. The status 0, of an Answer without anything in
// it, is not final.
func final(status int) bool {
	return 200 <= status && status < 400 || status == http.StatusPaymentRequired || status == http.StatusConflict
}

// keepLocked keeps the answer in the record of name, which is under way, until its
// time is over.
func (k *Keys) keepLocked(name id, answer Answer) {
	r := k.records[name]
	r.answer, r.until = &answer, k.config.Now().Add(k.config.Lifetime)
	k.answered = append(k.answered, name)
}

// expireLocked forgets the answers whose time is over.
func (k *Keys) expireLocked() {
	now := k.config.Now()
	for len(k.answered) > 0 && !now.Before(k.records[k.answered[0]].until) {
		k.forgetLocked()
	}
}

// roomLocked makes room for another record, if there is none, by forgetting the
// oldest answer. It returns false if there is no answer: what is under way is never
// forgotten, or the second click would start it again.
func (k *Keys) roomLocked() bool {
	if len(k.records) < k.config.Max {
		return true
	}
	if len(k.answered) == 0 {
		return false
	}
	k.forgetLocked()
	return true
}

// forgetLocked forgets the oldest answer, which there is.
func (k *Keys) forgetLocked() {
	delete(k.records, k.answered[0])
	k.answered[0] = id{} // the array lives on for a while, its texts need not
	k.answered = k.answered[1:]
}

type nameKey struct{}

func named(ctx context.Context, name id) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}

// ID is a name for the request that handle runs for, and empty in any other
// context: 26 letters and digits, the same for the same customer and key, on every
// replica and after each restart, and another one for any other. The service that
// names a new order by it makes the second half of the promise: where nothing is
// remembered any more, the same key still asks for the same order.
func ID(ctx context.Context) string {
	name, ok := ctx.Value(nameKey{}).(id)
	if !ok {
		return ""
	}
	customer := sha256.Sum256([]byte(name.customer)) // hashed, so that its end cannot be taken for the key's beginning
	sum := sha256.Sum256(append(customer[:], name.key...))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:26]
}
