//go:build ignore

// It gives the slot back, and closes the connection then. In between, the next
// one is accepted, so that more are open than the limit allows: deferred calls
// run last to first.
//
//workshop:caught-by TestServe/frees_the_slot_once_the_connection_is_closed
//workshop:says Close first, then give the slot back
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
	var delay time.Duration
	for {
		slots <- struct{}{}
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			<-slots
			delay = min(max(2*delay, MinDelay), MaxDelay)
			time.Sleep(delay)
			continue
		}
		delay = 0
		handlers.Go(func() {
			defer conn.Close()
			defer func() { <-slots }()
			conn.SetDeadline(time.Now().Add(timeout))
			run(handle, conn)
		})
	}
}
