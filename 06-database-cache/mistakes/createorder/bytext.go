//go:build ignore

// It looks for words in the error's text. The text is made for people: it is in
// the server's language, and the next version may say it in other words. The code
// and the constraint's name stay.
//
//workshop:caught-by TestCreate/reads_the_code_in_any_language
//workshop:says compare the code, which is the same in each language
package createorder

import (
	"context"
	"fmt"
	"strings"

	"clicktocode.example/06-database-cache/pgfault"
)

func domain(ctx context.Context, err error) error {
	for rule, broken := range rules {
		words := map[string]string{"23505": "duplicate key value violates", "23514": "violates check constraint"}[rule.code]
		if strings.Contains(err.Error(), words) && strings.Contains(err.Error(), `"`+rule.constraint+`"`) {
			return fmt.Errorf("%w: %w", broken, err)
		}
	}
	return pgfault.Of(ctx, err)
}
