// Package memcached is an embedded server of the memcached text protocol: what the
// order service uses as its cache where no memcached is installed. In the story it
// is the fridge beside the stove: small, quick, and nothing in it is the only one
// of its kind. It answers as memcached 1.6 does, error lines included, and passes
// the suite of package mctest together with it.
//
//	s, err := memcached.New(memcached.Config{})
//	…
//	go s.Serve(ln)
//	defer s.Close()
//
// # What it speaks
//
// The classic commands of protocol.txt: get, gets, gat, gats, set, add, replace,
// append, prepend, cas, delete, incr, decr, touch, flush_all, stats (also settings,
// items, slabs, reset), version, verbosity and quit, with noreply and pipelining.
// Not the meta commands (mg, ms, …), which get ERROR, and not the binary protocol,
// of which it refuses the first request with "unknown command" and closes. Hence
// the version that it reports is 1.5's.
//
// # What it keeps
//
// All is in memory, and gone with the process. An item counts as its key, its value
// and [Overhead] octets; where the sum passes Config.MaxBytes, the items leave that
// were not used for the longest time. It is a true LRU, over all items, where
// memcached keeps one for each class of sizes and approximates it in three parts.
// An item that has expired is never returned; its memory is free at the next look,
// or when its turn comes.
//
// # When to use memcached instead
//
// Whenever a cache has to outlive a restart of the service, or is shared by many
// machines. One lock guards all items here: enough to keep the network's share of a
// request far above the lock's (see the benchmarks), not enough for 32 cores.
//
// Source: https://github.com/memcached/memcached/blob/master/doc/protocol.txt
package memcached
