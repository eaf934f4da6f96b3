//go:build ignore

// It passes on the error of a value that cannot be decoded. After the next release
// of the program, which has another idea of a dish, each read then fails, until the
// last item of the old one has expired.
//
//workshop:caught-by TestPeek/takes_a_broken_value_for_a_miss
//workshop:says What another version of the program has left there is no reason to fail
package cacheaside

import "clicktocode.example/06-database-cache/kv"

func (a *Aside[V]) Peek(store kv.Store, key string) (v V, found bool, err error) {
	item, err := store.Get(key)
	if err != nil {
		return v, false, err
	}
	return decode[V](item)
}
