//go:build ignore

// It sets no deadline. A client that connects and says nothing then keeps its
// slot for ever, and as many of those as there are slots stop all: no
// attacker is needed, phones that lost their network will do.
//
//workshop:caught-by TestServe/cuts_a_client_that_sends_nothing
//workshop:says Without a deadline
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
			run(handle, conn)
		})
	}
}
