// Package freeport finds ports for tests of whole stacks, whose roles must be told
// where they listen before they do.
//
// "Port 0" will not do there: the system chooses among those that connections get for
// their own end. By the time a role listens, or listens again, one may have it.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports outside of the ranges that Linux, macOS and Windows give to connections.
const first, last = 12_000, 32_000

// Listen listens at one on loopback, by TCP, until its caller closes it. Whoever needs
// several closes none before the last: then no two are the same.
func Listen() (net.Listener, error) {
	for range 100 {
		if ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.N(last-first))); err == nil {
			return ln, nil
		}
	}
	return nil, errors.New("freeport: a hundred ports were tried, and none is free")
}
