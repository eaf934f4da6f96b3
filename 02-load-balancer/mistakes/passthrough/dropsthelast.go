//go:build ignore

// It looks at the error of Read before it looks at what was read. A Read may
// return the last octets together with io.EOF, as crypto/tls does, and these are
// lost: the end of an answer is missing, now and then.
//
//workshop:caught-by TestJoin/carries_what_comes_with_the_end
//workshop:says the octets come first
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
			err := carry(way[0], way[1], func() { timer.Reset(idle) })
			if err == nil {
				err = way[1].CloseWrite()
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

func carry(from, to Conn, note func()) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		note()
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
	}
}
