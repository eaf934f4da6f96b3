//go:build ignore

// It tries again whatever the error is. Sold out stays sold out: twenty
// transactions in a row ask the same, for a guest who waits to hear it, when the
// database has most to do.
//
//workshop:caught-by TestReserve/tells_at_once_that_it_is_sold_out
//workshop:says only 40001 and 40P01 are tried again
package stock

func again(err error) bool {
	return err != nil
}
