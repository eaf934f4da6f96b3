package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"clicktocode.example/05-business-logic/order"
)

// Declined is a Charge.Method that is always refused, as Stripe's own test card of
// this name is. Every other one is good for any amount.
const Declined = "pm_card_chargeDeclined"

// Payments is an order.Payments that moves no money, and keeps book of what it
// would have moved. Make one with NewPayments.
type Payments struct {
	mu    sync.Mutex     // guards what follows
	byKey map[string]int // a place in book
	byID  map[string]int // likewise, of payments
	book  []Payment
}

// Payment is what became of a charge.
type Payment struct {
	ID       string // empty if it was declined
	Charge   order.Charge
	Refunded bool
}

// NewPayments returns payments of which there have been none yet.
func NewPayments() *Payments { return &Payments{byKey: map[string]int{}, byID: map[string]int{}} }

// Charge implements order.Payments.
func (p *Payments) Charge(ctx context.Context, c order.Charge) (string, error) {
	if err := gone(ctx, "charge"); err != nil {
		return "", err
	}
	if c.Key == "" || c.Amount.Amount < 1 || c.Amount.Currency == "" {
		return "", fmt.Errorf("memory: charge %q of %v: %w", c.Key, c.Amount, order.ErrInvalid)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i, done := p.byKey[c.Key]
	if !done {
		i = len(p.book)
		payment := Payment{Charge: c}
		if c.Method != Declined {
			payment.ID = fmt.Sprintf("pay_%06d", i+1)
			p.byID[payment.ID] = i
		}
		p.byKey[c.Key] = i
		p.book = append(p.book, payment)
	}
	switch payment := p.book[i]; {
	case payment.Charge != c:
		return "", fmt.Errorf("memory: charge %q was another one before: %w", c.Key, order.ErrConflict)
	case payment.ID == "":
		return "", fmt.Errorf("memory: charge %q of %v: %w", c.Key, c.Amount, order.ErrDeclined)
	case payment.Refunded:
		return "", fmt.Errorf("memory: charge %q of %v was paid back: %w", c.Key, c.Amount, order.ErrDeclined)
	default:
		return payment.ID, nil
	}
}

// Refund implements order.Payments.
func (p *Payments) Refund(ctx context.Context, id string) error {
	if err := gone(ctx, "refund"); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i, there := p.byID[id]
	if !there {
		return fmt.Errorf("memory: refund: payment %q: %w", id, order.ErrNotFound)
	}
	p.book[i].Refunded = true
	return nil
}

// Book is every charge so far, also those that were declined, in their order. The
// slice is the caller's own.
func (p *Payments) Book() []Payment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.book)
}
