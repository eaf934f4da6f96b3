//go:build ignore

// It takes the code 23505 for "the ID is taken". That code is each unique
// constraint's: a dish that comes twice has it, too. Who reads "exists" believes
// that the order is kept, and it is not.
//
//workshop:caught-by TestCreate/a_dish_twice_is_not_an_ID_that_is_taken
//workshop:says the constraint is order_lines_dish_once
package createorder

import (
	"context"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

func domain(ctx context.Context, err error) error {
	var said *pq.Error
	if errors.As(err, &said) {
		switch said.Code {
		case "23505":
			return fmt.Errorf("%w: %w", order.ErrExists, err)
		case "23514":
			return fmt.Errorf("%w: %w", order.ErrInvalid, err)
		}
	}
	return pgfault.Of(ctx, err)
}
