package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"clicktocode.example/05-business-logic/order"
)

// Orders is an order.Orders. Make one with NewOrders.
type Orders struct {
	mu     sync.Mutex // guards what follows
	byID   map[string]order.Order
	sorted []order.Cursor // of all orders, the newest last
}

// NewOrders returns a store of orders that is empty.
func NewOrders() *Orders { return &Orders{byID: map[string]order.Order{}} }

// Create implements order.Orders. It refuses an empty ID, as an order.InvalidError.
func (s *Orders) Create(ctx context.Context, o order.Order) error {
	if err := gone(ctx, "create"); err != nil {
		return err
	}
	if o.ID == "" {
		return fmt.Errorf("memory: create: %w", &order.InvalidError{Field: "id", What: "is empty"})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.byID[o.ID]; taken {
		return fmt.Errorf("memory: create: order %q: %w", o.ID, order.ErrExists)
	}
	o = clone(o)
	s.byID[o.ID] = o
	place := order.Cursor{Created: o.Created, ID: o.ID}
	i, _ := slices.BinarySearchFunc(s.sorted, place, older)
	s.sorted = slices.Insert(s.sorted, i, place) // at the end, nearly always
	return nil
}

// Get implements order.Orders.
func (s *Orders) Get(ctx context.Context, id string) (order.Order, error) {
	if err := gone(ctx, "get"); err != nil {
		return order.Order{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, there := s.byID[id]
	if !there {
		return order.Order{}, fmt.Errorf("memory: get: order %q: %w", id, order.ErrNotFound)
	}
	return clone(o), nil
}

// Update implements order.Orders.
func (s *Orders) Update(ctx context.Context, o order.Order) (order.Order, error) {
	if err := gone(ctx, "update"); err != nil {
		return order.Order{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, there := s.byID[o.ID]
	switch {
	case !there:
		return order.Order{}, fmt.Errorf("memory: update: order %q: %w", o.ID, order.ErrNotFound)
	case kept.Version != o.Version:
		return order.Order{}, fmt.Errorf("memory: update: order %q is at version %d, not %d: %w", o.ID, kept.Version, o.Version, order.ErrConflict)
	}
	kept.State, kept.Payment, kept.Updated = o.State, o.Payment, o.Updated
	kept.Version++
	s.byID[o.ID] = kept
	return clone(kept), nil
}

// List implements order.Orders. It refuses a limit below 1, as an
// order.InvalidError.
func (s *Orders) List(ctx context.Context, q order.Query) ([]order.Order, error) {
	if err := gone(ctx, "list"); err != nil {
		return nil, err
	}
	if q.Limit < 1 {
		return nil, fmt.Errorf("memory: list: %w", &order.InvalidError{Field: "limit", What: fmt.Sprintf("%d is below 1", q.Limit)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	end := len(s.sorted)
	if q.After.ID != "" || !q.After.Created.IsZero() {
		end, _ = slices.BinarySearchFunc(s.sorted, q.After, older)
	}
	var page []order.Order
	for i := end - 1; i >= 0 && len(page) < q.Limit; i-- {
		o := s.byID[s.sorted[i].ID]
		if (q.Customer == "" || q.Customer == o.Customer) && (q.State == "" || q.State == o.State) {
			page = append(page, clone(o))
		}
	}
	return page, nil
}

// older sorts by time, and orders of the same moment by ID.
func older(a, b order.Cursor) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// clone makes o the caller's own.
func clone(o order.Order) order.Order {
	o.Lines = slices.Clone(o.Lines)
	return o
}
