//go:build ignore

// It closes the connection when the time is over. The handler then finds its
// connection closed under it, and cannot say goodbye, nor ask for more time: a
// deadline is a moment that it can move.
//
//workshop:caught-by TestServe/lets_a_handler_move_its_deadline
//workshop:says the connection is not closed under it
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
			defer func() { <-slots }()
			defer conn.Close()
			defer time.AfterFunc(timeout, func() { conn.Close() }).Stop()
			run(handle, conn)
		})
	}
}
