// Package webhook tells a payment provider's events from everybody else's.
//
// When a payment succeeds, or is refunded, or fails, Stripe says so by a POST to
// an address of ours. The address is no secret, and what is said there moves
// orders: whoever can make us believe "order 17 is paid" eats for nothing. So
// each event is signed with a secret that only Stripe and we know. In the story,
// somebody rings the kitchen and says that table four has paid. The chef asks
// for the password of the bank; of this minute; and once.
//
// Signed is "t.payload", where t is the second of the signature. So nobody can
// send an event from last year again as if it were new. For the few minutes in
// which it is new, its ID is remembered.
//
// Left out: events in the right order. Stripe does not promise any, so an event
// is a reason to look, and what is true is what the API says. And fetching it at
// Stripe instead of believing it, which is a good habit where the amount is large.
//
// Source: "Verify webhook signatures manually" in Stripe's documentation; RFC 2104
// (HMAC) with SHA-256.
package webhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Why an event was refused. Verify returns them wrapped: use errors.Is.
var (
	// ErrHeader: there is no Stripe-Signature, or it has no t, or no v1. Answer 400.
	ErrHeader = errors.New("webhook: malformed Stripe-Signature")
	// ErrSignature: somebody else signed it, or it was altered. Answer 400.
	ErrSignature = errors.New("webhook: wrong signature")
	// ErrTime: it was signed too long ago, or in the future. Answer 400.
	ErrTime = errors.New("webhook: signed at another time")
	// ErrPayload: it is Stripe's, and no event. Answer 400.
	ErrPayload = errors.New("webhook: not an event")
	// ErrReplayed: this event has come before. Answer 200: it is done.
	ErrReplayed = errors.New("webhook: came before")
	// ErrFull: as many events as can be remembered came within the tolerance.
	// Answer 503: Stripe sends it again later.
	ErrFull = errors.New("webhook: too many events")
)

// Event is what happened.
type Event struct {
	ID      string // unique, as in evt_1PqR…
	Type    string // as in payment_intent.succeeded
	Created time.Time
	Live    bool // false in Stripe's test mode: no money has moved
	// Object is what it happened to, as JSON: a PaymentIntent, a Refund, …
	Object json.RawMessage
}

// Config is what a Verifier works with. Secret is required.
type Config struct {
	// Secret is the endpoint's, as in whsec_…, prefix included.
	Secret string
	// Tolerance is how far the time of the signature may be from now, either way.
	// 0 means 5 minutes. There is no way to have none.
	Tolerance time.Duration
	// MaxEvents is how many events are remembered, each for twice Tolerance, and
	// takes some 150 octets then. 0 means 65,536.
	MaxEvents int
	// Now is the clock. nil means time.Now. It is called by many goroutines at once.
	Now func() time.Time
}

// Verifier verifies events. Make one with New. It may be used by many goroutines
// at once.
type Verifier struct {
	secret    []byte
	tolerance time.Duration
	now       func() time.Time
	seen      *memory
}

// New returns a Verifier that works as c says. err names all faults of c at once.
// An empty Secret is one: anybody can sign with it.
func New(c Config) (*Verifier, error) {
	var faults []error
	if c.Secret == "" {
		faults = append(faults, errors.New("webhook: Secret is empty: anybody could sign with it"))
	}
	if c.Tolerance < 0 {
		faults = append(faults, fmt.Errorf("webhook: Tolerance is %v, must not be negative", c.Tolerance))
	}
	if c.MaxEvents < 0 {
		faults = append(faults, fmt.Errorf("webhook: MaxEvents is %d, must not be negative", c.MaxEvents))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	v := &Verifier{secret: []byte(c.Secret), tolerance: cmp.Or(c.Tolerance, 5*time.Minute), now: c.Now}
	if v.now == nil {
		v.now = time.Now
	}
	v.seen = newMemory(cmp.Or(c.MaxEvents, 1<<16), 2*v.tolerance)
	return v, nil
}

// Verify returns the event that payload is, if Stripe signed it, a short time
// ago, and it has not been here before. payload is the request's body, octet for
// octet as it came: what is read and written anew has another signature. header is
// its Stripe-Signature. The event is remembered from now on, whenever it was signed.
//
// What was not signed by Stripe (ErrHeader, ErrSignature) or not now (ErrTime:
// Tolerance either way is still fine) is neither parsed nor remembered. So nobody
// can have a true event refused by sending a false one with its ID first. What is
// no event (ErrPayload) is not remembered either. With ErrReplayed, Verify returns
// the event all the same, for the log. With all other errors it returns none.
func (v *Verifier) Verify(payload []byte, header string) (Event, error) {
	//workshop:begin return Event{}, nil
	//workshop:todo In this order: the signature (v.signed), its time against v.now(), the event
	//workshop:todo (parse), and whether it is the first of its ID (v.seen.add).
	at, err := v.signed(payload, header)
	if err != nil {
		return Event{}, err
	}
	now := v.now()
	if age := now.Sub(at); age > v.tolerance || age < -v.tolerance { // one from the future would outlive its ID
		return Event{}, fmt.Errorf("%w: %v ago, tolerated are %v", ErrTime, age, v.tolerance)
	}
	event, err := parse(payload) // now that it is Stripe's: a parser is no place for strangers' octets
	if err != nil {
		return Event{}, err
	}
	switch err := v.seen.add(event.ID, now); {
	case errors.Is(err, ErrReplayed):
		return event, err
	case err != nil:
		return Event{}, err
	}
	return event, nil
	//workshop:end
}

// signed returns when payload was signed, if header is Stripe's signature of it:
//
//	t=1712345678,v1=5257a869…,v1=88f1b2c7…,v0=6ffbb59b…
//
// These are fields, separated by commas. t is the time, in seconds since 1970. Each
// v1 is, in lower-case hexadecimal, the HMAC-SHA256 of t as it stands there, a full stop, and
// payload. One that is right is enough: while the secret is being changed, there
// is one by the old secret, and one by the new. All other fields are ignored: v0
// is for tests, and what is not known is for those who know it.
//
// ErrHeader: there is no t that is a number, or no v1 at all. ErrSignature: no v1
// is right.
func (v *Verifier) signed(payload []byte, header string) (at time.Time, err error) {
	//workshop:begin return time.Time{}, nil
	//workshop:todo Take the header apart: strings.Split at each comma, strings.Cut at the first "=".
	//workshop:todo Keep the t, and all v1. Compute what a v1 has to be (hmac.New, sha256.New,
	//workshop:todo hex.EncodeToString), and compare it with each by hmac.Equal.
	var t string
	var signatures []string
	for field := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(field, "="); name {
		case "t":
			t = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || len(signatures) == 0 {
		return time.Time{}, fmt.Errorf("%w: a t in seconds and a v1 are needed: %.80q", ErrHeader, header)
	}
	mac := hmac.New(sha256.New, v.secret)
	mac.Write([]byte(t + "."))
	mac.Write(payload)
	want := hex.EncodeToString(mac.Sum(nil))
	for _, signature := range signatures {
		if hmac.Equal([]byte(want), []byte(signature)) { // == stops at the first octet that differs, and its time tells which
			return time.Unix(seconds, 0), nil
		}
	}
	return time.Time{}, ErrSignature
	//workshop:end
}

// Forget lets the event of that ID come once more. Call it when an event was
// verified and could not be applied: Stripe sends it again if the answer is not
// 2xx, signed anew, and it would be refused as a replay.
func (v *Verifier) Forget(id string) { v.seen.remove(id) }

// parse reads an event.
func parse(payload []byte) (Event, error) {
	var wire struct {
		ID       string `json:"id"`
		Object   string `json:"object"`
		Type     string `json:"type"`
		Created  int64  `json:"created"`
		Livemode bool   `json:"livemode"`
		Data     struct {
			Object json.RawMessage `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(payload, &wire); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if wire.ID == "" || wire.Type == "" || wire.Object != "event" {
		return Event{}, fmt.Errorf("%w: id %.40q, object %.40q, type %.40q", ErrPayload, wire.ID, wire.Object, wire.Type)
	}
	return Event{
		ID: wire.ID, Type: wire.Type, Live: wire.Livemode,
		Created: time.Unix(wire.Created, 0).UTC(), Object: wire.Data.Object,
	}, nil
}
