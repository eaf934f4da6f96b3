//go:build ignore

// It waits for both directions to end by themselves. When one connection breaks,
// the copier of the other direction waits for a peer that has no reason to say
// anything: both connections stay open for as long as they may idle.
//
//workshop:caught-by TestJoin/ends_both_when_one_breaks
//workshop:says only notices when its connection is closed
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
