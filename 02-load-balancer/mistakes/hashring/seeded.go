//go:build ignore

// It hashes with hash/maphash, which is quick and good, and has another seed in
// each process. Two balancers side by side then send one customer to two
// backends, and a restart moves all keys.
//
//workshop:caught-by TestPick/agrees_with_other_processes
//workshop:says A hash whose seed is another one
package hashring

import "hash/maphash"

var seed = maphash.MakeSeed()

func hash(s string) uint64 { return maphash.String(seed, s) }
