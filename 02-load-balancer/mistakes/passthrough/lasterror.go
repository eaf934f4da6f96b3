//go:build ignore

// It closes both connections before it says why. The other direction's complaint,
// that its connection is closed, may then arrive first, and whoever reads the log
// looks for one that closes connections, and not for what broke.
//
//workshop:caught-by TestJoin/ends_both_when_one_fails
//workshop:says is not the cause
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
			if err == nil {
				err = to.CloseWrite()
			}
			if err != nil {
				closeBoth()
			}
			ends <- err
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
