//go:build ignore

// It tries again at once when Accept fails. Out of descriptors, Accept fails
// at once, too, so the loop turns as fast as it can: a whole CPU is gone just
// when the handlers should finish and free their descriptors.
//
//workshop:caught-by TestServe/waits_after_a_failed_Accept
//workshop:says this loop spins
package accept

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

func Serve(ln net.Listener, limit int, timeout time.Duration, handle func(net.Conn)) error {
	if limit < 1 || timeout <= 0 {
		return fmt.Errorf("accept: limit %d, timeout %v: both must be positive", limit, timeout)
	}
	slots := make(chan struct{}, limit)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	for {
		slots <- struct{}{}
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			<-slots
			continue
		}
		handlers.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(timeout))
			run(handle, conn)
		})
	}
}
