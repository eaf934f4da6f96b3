//go:build ignore

// It takes a slot, and does not give it back when Accept fails. Each error
// makes the house smaller by one seat, until the server waits for a slot that
// nobody holds.
//
//workshop:caught-by TestServe/takes_no_slot_for_a_failed_Accept
//workshop:says must give back the slot
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
			delay = min(max(2*delay, MinDelay), MaxDelay)
			time.Sleep(delay)
			continue
		}
		delay = 0
		handlers.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(timeout))
			run(handle, conn)
		})
	}
}
