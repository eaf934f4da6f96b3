//go:build ignore

// It calls each error of COMMIT unknown. But a server that answers by an error has
// told what became of it: nothing is kept. The caller who reads "unknown" keeps the
// customer's money and waits, for an order that will never be there.
//
//workshop:caught-by TestCreate/what_the_server_refuses_at_COMMIT_is_known
//workshop:says which is a *pq.Error
package createorder

func Refused(err error) bool {
	return false
}
