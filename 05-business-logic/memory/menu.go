package memory

import (
	"context"
	"slices"

	"clicktocode.example/05-business-logic/order"
)

// Menu is an order.Menu that does not change. Make one with NewMenu.
type Menu struct{ dishes []order.Dish }

// NewMenu returns a menu of dishes, in this order.
func NewMenu(dishes []order.Dish) *Menu { return &Menu{slices.Clone(dishes)} }

// Dishes implements order.Menu.
func (m *Menu) Dishes(ctx context.Context) ([]order.Dish, error) {
	if err := gone(ctx, "menu"); err != nil {
		return nil, err
	}
	return slices.Clone(m.dishes), nil
}
