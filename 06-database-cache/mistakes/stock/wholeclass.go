//go:build ignore

// It takes the whole class 40 for a reason to try again. But 40002 says that a rule of
// the tables was broken, which it will be again, and 40003 that nobody knows whether
// the statement was done.
//
//workshop:caught-by TestReserve/tries_no_other_fault_again
//workshop:says Only 40001 and 40P01
package stock

import (
	"errors"

	"github.com/lib/pq"
)

func again(err error) bool {
	var said *pq.Error
	return errors.As(err, &said) && said.Code.Class() == "40"
}
