//go:build ignore

// It closes both connections when one direction has ended. But a client that has
// sent all of its question may say so and wait for the answer: it is hung up on
// in the middle of it.
//
//workshop:caught-by TestJoin/lets_the_other_side_go_on
//workshop:says The end of one direction is not the end of the connection
package passthrough

import (
	"cmp"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

func Join(a, b Conn, idle time.Duration) error {
	closeBoth := func() { _, _ = a.Close(), b.Close() }
	defer closeBoth()
	if idle <= 0 {
		return fmt.Errorf("passthrough: idle is %v: it must be positive", idle)
	}
	var idled atomic.Bool
	timer := time.AfterFunc(idle, func() {
		idled.Store(true)
		closeBoth()
	})
	defer timer.Stop()
	ends := make(chan error, 2)
	for _, way := range [][2]Conn{{a, b}, {b, a}} {
		go func() {
			from, to := way[0], way[1]
			_, err := io.Copy(to, noting{from, func() { timer.Reset(idle) }})
			ends <- err
			closeBoth()
		}()
	}
	err := cmp.Or(<-ends, <-ends)
	switch {
	case idled.Load():
		return ErrIdle
	case err != nil:
		return fmt.Errorf("passthrough: %w", err)
	}
	return nil
}
