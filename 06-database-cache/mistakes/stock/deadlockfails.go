//go:build ignore

// It tries again after a serialization failure, and not after a deadlock. Both mean
// the same: the server has rolled back one of two transactions that were in each
// other's way, and the one that it chose may succeed next time. Locks in one order
// make deadlocks rare; a batch job that somebody else writes makes them come back.
//
//workshop:caught-by TestReserve/tries_again_after_40P01_in_the_transaction
//workshop:says by the code 40P01 (deadlock_detected)
package stock

import (
	"errors"

	"github.com/lib/pq"
)

func again(err error) bool {
	var said *pq.Error
	return errors.As(err, &said) && said.Code == "40001"
}
