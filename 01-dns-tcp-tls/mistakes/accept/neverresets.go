//go:build ignore

// It keeps the long wait after a success. The next trouble, hours later and over
// in a moment, then costs every new client a second.
//
//workshop:caught-by TestServe/starts_with_a_short_wait_after_a_success
//workshop:says the waits begin at MinDelay again
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
		handlers.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(timeout))
			run(handle, conn)
		})
	}
}
