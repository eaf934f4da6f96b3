//go:build ignore

// It calls the handler in the accept loop itself. Accept is not called again
// before that handler returns, so one slow client stops all that come after it.
//
//workshop:caught-by TestServe/serves_others_while_one_client_is_slow
//workshop:says one slow client stops all
package accept

import (
	"errors"
	"fmt"
	"net"
	"time"
)

func Serve(ln net.Listener, limit int, timeout time.Duration, handle func(net.Conn)) error {
	if limit < 1 || timeout <= 0 {
		return fmt.Errorf("accept: limit %d, timeout %v: both must be positive", limit, timeout)
	}
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
		conn.SetDeadline(time.Now().Add(timeout))
		run(handle, conn)
		conn.Close()
	}
}
