//go:build ignore

// It takes only the server's own error for a certain one. But a COMMIT that was not
// sent, because the customer left a moment before, is certain, too: nothing is kept.
// Who reads "unknown" keeps the customer's money, for an order that is not there.
//
//workshop:caught-by TestCreate/a_COMMIT_that_was_not_sent_is_known
//workshop:says so COMMIT was not sent
package createorder

import (
	"errors"

	"github.com/lib/pq"
)

func Refused(err error) bool {
	var said *pq.Error
	return errors.As(err, &said)
}
