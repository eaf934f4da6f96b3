//go:build ignore

// It sets no limit to silence. Clients that lost their network, or were switched
// off, never close: each of them holds two connections here, until there are no
// descriptors left for anybody.
//
//workshop:caught-by TestJoin/cuts_what_idles
//workshop:says each holds two connections here until somebody cuts them
package passthrough

import (
	"cmp"
	"fmt"
	"io"
	"time"
)

func Join(a, b Conn, idle time.Duration) error {
	closeBoth := func() { _, _ = a.Close(), b.Close() }
	defer closeBoth()
	if idle <= 0 {
		return fmt.Errorf("passthrough: idle is %v: it must be positive", idle)
	}
	ends := make(chan error, 2)
	for _, way := range [][2]Conn{{a, b}, {b, a}} {
		go func() {
			from, to := way[0], way[1]
			_, err := io.Copy(to, from)
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
	if err != nil {
		return fmt.Errorf("passthrough: %w", err)
	}
	return nil
}
