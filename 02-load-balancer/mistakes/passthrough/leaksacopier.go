//go:build ignore

// It returns when one direction has ended, and leaves the other one to itself. Its
// caller takes the connection for finished, counts one too few, and may end the
// program, while a copier is still at work, or waits for good.
//
//workshop:caught-by TestJoin/lets_the_other_side_go_on
//workshop:says a copier is at work that nobody waits for
package passthrough

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

func Join(a, b Conn, idle time.Duration) error {
	closeBoth := func() { _, _ = a.Close(), b.Close() }
	if idle <= 0 {
		closeBoth()
		return fmt.Errorf("passthrough: idle is %v: it must be positive", idle)
	}
	var idled atomic.Bool
	timer := time.AfterFunc(idle, func() {
		idled.Store(true)
		closeBoth()
	})
	ends := make(chan error, 2)
	for _, way := range [][2]Conn{{a, b}, {b, a}} {
		go func() {
			from, to := way[0], way[1]
			_, err := io.Copy(to, noting{from, func() { timer.Reset(idle) }})
			if err == nil {
				err = to.CloseWrite()
			}
			ends <- err
			if err != nil {
				closeBoth()
			}
		}()
	}
	err := <-ends
	switch {
	case idled.Load():
		return ErrIdle
	case err != nil:
		return fmt.Errorf("passthrough: %w", err)
	}
	return nil
}
