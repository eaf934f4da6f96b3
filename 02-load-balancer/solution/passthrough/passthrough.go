// Package passthrough carries bytes between a client and a backend without
// looking at them: a load balancer at layer 4, where there are connections and
// no requests.
//
// Whatever they speak passes, TLS above all: the balancer needs no key, and can
// read nothing. In return it can choose a backend only once for each connection,
// retry nothing, and log little more than who talked to whom. In the story,
// this waiter carries sealed envelopes.
//
// Source: RFC 9293 §3.6, on closing a connection one direction at a time.
package passthrough

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// ErrIdle is the error of Join when nothing was carried for too long.
var ErrIdle = errors.New("passthrough: nothing was carried for too long")

// Conn is a connection whose directions end one by one: *net.TCPConn,
// *tls.Conn, *net.UnixConn.
type Conn interface {
	net.Conn
	// CloseWrite says to the other side that no more will be sent. What it
	// sends can still be read.
	CloseWrite() error
}

// Join carries what a sends to b, and what b sends to a, until both have said
// that they are done. Then it closes both, and returns nil.
//
// When one of them is done (its Read returns io.EOF) and the other is not, only
// that direction ends: the other one is told by CloseWrite, and may go on.
//
// It ends before that, closes both and returns an error, wrapped, when reading,
// writing or CloseWrite fails: at once, though the other direction may be in
// the midst of it. And it does so, with [ErrIdle], when for the time idle no
// byte was carried either way, because nobody sent any or nobody took them.
// While one direction carries something, the other may be silent, from the
// start or from some time on. What was read counts, so a piece that takes longer
// than idle to be written may be cut.
//
// When it returns, nothing of it is left running. To end it from outside, close
// a or b. idle must be positive: otherwise both are closed, and an error is
// returned at once.
func Join(a, b Conn, idle time.Duration) error {
	closeBoth := func() { _, _ = a.Close(), b.Close() }
	defer closeBoth()
	if idle <= 0 {
		return fmt.Errorf("passthrough: idle is %v: it must be positive", idle)
	}
	//workshop:begin return errors.New("passthrough: nothing was carried")
	//workshop:todo Copy both ways at once, each in its goroutine. When one direction has come to
	//workshop:todo its end, CloseWrite the connection that it leads to, and let the other go on.
	//workshop:todo When one fails, close both (closeBoth), so that the other fails, too. Wait for
	//workshop:todo both before you return. A timer (time.AfterFunc) that is set back whenever
	//workshop:todo something was carried (type noting tells) closes both when nothing is.
	var idled atomic.Bool
	timer := time.AfterFunc(idle, func() {
		idled.Store(true)
		closeBoth()
	})
	defer timer.Stop()
	ends := make(chan error, 2) // room for both: otherwise the second copier is left behind after a failure
	for _, way := range [][2]Conn{{a, b}, {b, a}} {
		go func() {
			from, to := way[0], way[1]
			_, err := io.Copy(to, noting{from, func() { timer.Reset(idle) }})
			if err == nil {
				err = to.CloseWrite() // without it, who waits for the end of the question never answers
			}
			ends <- err
		}()
	}
	err := <-ends
	if err != nil {
		closeBoth() // otherwise the other direction waits for bytes that nobody will send
	}
	err = cmp.Or(err, <-ends) // the first is the cause: the second may but complain of the closing
	switch {
	case idled.Load():
		return ErrIdle
	case err != nil:
		return fmt.Errorf("passthrough: %w", err)
	}
	return nil
	//workshop:end
}

// noting is a Reader that calls note whenever it has read something.
type noting struct {
	io.Reader
	note func()
}

func (n noting) Read(p []byte) (int, error) {
	count, err := n.Reader.Read(p)
	if count > 0 {
		n.note()
	}
	return count, err
}
