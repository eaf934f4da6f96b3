package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"clicktocode.example/05-business-logic/order"
)

// Stock is an order.Stock. Make one with NewStock.
type Stock struct {
	mu       sync.Mutex              // guards what follows
	left     map[string]int          // by dish
	reserved map[string][]order.Item // by order
	released map[string]bool         // orders that may reserve no more
}

// NewStock returns a stock that has so many of each dish, by ID.
func NewStock(left map[string]int) *Stock {
	s := &Stock{left: map[string]int{}, reserved: map[string][]order.Item{}, released: map[string]bool{}}
	maps.Copy(s.left, left)
	return s
}

// Reserve implements order.Stock. Of a dish that it has never heard of there are
// 0 left. It refuses a quantity below 1, as an order.InvalidError.
func (s *Stock) Reserve(ctx context.Context, id string, items []order.Item) error {
	if err := gone(ctx, "reserve"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released[id] {
		return fmt.Errorf("memory: reserve: order %q was released: %w", id, order.ErrConflict)
	}
	if _, done := s.reserved[id]; done {
		return nil
	}
	needed := map[string]int{}
	for i, item := range items {
		if item.Quantity < 1 { // would add to the stock
			return fmt.Errorf("memory: reserve: %w", &order.InvalidError{Field: fmt.Sprintf("lines[%d].quantity", i), What: fmt.Sprintf("%d is below 1", item.Quantity)})
		}
		if item.Quantity > s.left[item.Dish]-needed[item.Dish] {
			return fmt.Errorf("memory: reserve: order %q: %w", id, &order.SoldOutError{Dish: item.Dish, Left: s.left[item.Dish]})
		}
		needed[item.Dish] += item.Quantity
	}
	for dish, n := range needed {
		s.left[dish] -= n
	}
	s.reserved[id] = slices.Clone(items)
	return nil
}

// Release implements order.Stock.
func (s *Stock) Release(ctx context.Context, id string) error {
	if err := gone(ctx, "release"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range s.reserved[id] {
		s.left[item.Dish] += item.Quantity
	}
	delete(s.reserved, id)
	s.released[id] = true // a Reserve that is still under way comes too late
	return nil
}

// Left implements order.Stock.
func (s *Stock) Left(ctx context.Context) (map[string]int, error) {
	if err := gone(ctx, "left"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.left), nil
}
