//go:build ignore

// It copies until the end, and does not pass the end on. A backend that reads the
// question to its end before it answers then waits for the rest of it, the client
// waits for the answer, and both for ever.
//
//workshop:caught-by TestJoin/tells_that_one_side_is_done
//workshop:says whoever answers at the end of the question waits for ever
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
			if err != nil {
				closeBoth()
			}
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
