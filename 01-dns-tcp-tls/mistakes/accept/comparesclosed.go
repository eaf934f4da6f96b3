//go:build ignore

// It compares the error of Accept with net.ErrClosed by ==. Accept wraps that
// error, so the two are never equal: a listener that was closed looks like one
// in trouble, and the loop tries again for ever.
//
//workshop:caught-by TestServe/returns_nil_once_the_listener_is_closed
//workshop:says errors.Is(err, net.ErrClosed) sees that
package accept

import (
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
		if err == net.ErrClosed {
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
			defer func() { <-slots }()
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(timeout))
			run(handle, conn)
		})
	}
}
