//go:build ignore

// It gives each direction a time to idle of its own. In a download the client
// says nothing for as long as it lasts, and is cut in the middle: one direction
// was silent, the connection was not.
//
//workshop:caught-by TestJoin/lets_one_side_be_silent
//workshop:says a long download is not idle
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
	ends := make(chan error, 2)
	for _, way := range [][2]Conn{{a, b}, {b, a}} {
		go func() {
			from, to := way[0], way[1]
			timer := time.AfterFunc(idle, func() {
				idled.Store(true)
				closeBoth()
			})
			defer timer.Stop()
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
	err := cmp.Or(<-ends, <-ends)
	switch {
	case idled.Load():
		return ErrIdle
	case err != nil:
		return fmt.Errorf("passthrough: %w", err)
	}
	return nil
}
