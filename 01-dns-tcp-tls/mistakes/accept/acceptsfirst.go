//go:build ignore

// It accepts first, and takes the slot after that. The client beyond the limit
// then holds a descriptor, which is what the limit was to save, and waits in
// this process.
//
//workshop:caught-by TestServe/takes_the_slot_before_it_accepts
//workshop:says Take the slot before you accept
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
		slots <- struct{}{}
		handlers.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(timeout))
			run(handle, conn)
		})
	}
}
