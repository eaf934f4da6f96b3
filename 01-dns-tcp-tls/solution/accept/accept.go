// Package accept takes TCP connections from a listener, and keeps the server
// alive while clients are slow, many, or more than the machine has room for.
//
// The kernel completes TCP's handshake by itself and puts the new connection
// into the listener's queue, its backlog. Accept takes the oldest one out. A
// server is a loop around Accept; what it is worth shows on a bad day. In the
// story, this is the door: so many seats, and nobody holds a table for ever
// without ordering.
//
// Source: RFC 9293 §3.5 (the handshake); accept(2), on errors; net/http's
// Server.Serve, for the waits between them.
package accept

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// How long Serve waits after a failed Accept: MinDelay, then twice as long
// after each further failure in a row, and never longer than MaxDelay.
const (
	MinDelay = 5 * time.Millisecond
	MaxDelay = time.Second
)

// Serve takes connections from ln until ln is closed, and calls handle for
// each, in a goroutine of its own. Once handle returns, Serve closes the
// connection.
//
// At most limit connections are open at once: there are limit slots, and each
// connection takes one. While none is free, Serve does not call Accept: further
// clients wait in the kernel's backlog, where they take up no memory of this
// process and no descriptor, of which it has only so many. A connection gives
// its slot back when it is closed, even if handle panicked.
//
// Every connection has a deadline, for reading and writing, timeout after it
// was accepted. From then on reads and writes fail with
// os.ErrDeadlineExceeded, which makes handle return; nobody closes the
// connection under it. A handler that means to stay longer moves the deadline,
// with SetDeadline.
//
// An error of Accept, other than net.ErrClosed, is taken to pass: the process
// or the machine is out of descriptors (EMFILE, ENFILE), or out of memory
// (ENOBUFS, ENOMEM). Serve waits, as [MinDelay] says, and goes on; after a
// success the waits start again at MinDelay.
//
// Once ln is closed, Accept fails with an error that wraps net.ErrClosed. Then
// Serve waits for the running handlers, and returns nil.
// If limit or timeout is not positive, it returns an error at once. Closing ln
// is the caller's task.
func Serve(ln net.Listener, limit int, timeout time.Duration, handle func(net.Conn)) error {
	if limit < 1 || timeout <= 0 {
		return fmt.Errorf("accept: limit %d, timeout %v: both must be positive", limit, timeout)
	}
	//workshop:begin return nil
	//workshop:todo Loop: wait until fewer than limit connections are open, then Accept.
	//workshop:todo Give each connection its deadline and its goroutine, call run there, close the
	//workshop:todo connection. net.ErrClosed ends the loop (errors.Is); after any other error give
	//workshop:todo the slot back, wait, and go on. After a success the waits begin at MinDelay again.
	//workshop:todo Before you return, wait for the handlers that are still running.
	slots := make(chan struct{}, limit)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	var delay time.Duration
	for {
		slots <- struct{}{} // before Accept: accepted and left to wait, a client would hold a descriptor
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			<-slots // otherwise every failure takes one seat out of the house for good
			delay = min(max(2*delay, MinDelay), MaxDelay)
			slog.Warn("accept: trying again", "err", err, "after", delay)
			// Out of descriptors, the queue stays full and Accept fails at once:
			// a loop without a pause takes the CPU from the handlers, whose end
			// would free descriptors.
			time.Sleep(delay)
			continue
		}
		delay = 0
		handlers.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			// One moment for the whole connection. Set anew for each read, a
			// client that sends a byte a minute would hold its seat for ever.
			_ = conn.SetDeadline(time.Now().Add(timeout)) // fails only where reads will, too
			run(handle, conn)
		})
	}
	//workshop:end
}

// run calls handle. A panic goes to the log and no further: that one
// connection broke is no reason to hang up on all the others.
func run(handle func(net.Conn), conn net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("accept: handler panicked", "client", conn.RemoteAddr(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	handle(conn)
}
