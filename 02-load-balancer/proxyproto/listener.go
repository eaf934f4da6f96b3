package proxyproto

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Listen returns a listener whose connections each begin with a PROXY header,
// which is taken off, and whose RemoteAddr and LocalAddr are those in it. ln
// must be one that only the proxy can reach.
//
// Accept does not wait for the header: one slow client would stop all. Read,
// RemoteAddr and LocalAddr do, whichever is called first, and
// at most until timeout after the connection was accepted. Without a header in
// time the connection is closed, Read returns an error, and the addresses are
// the real ones. timeout must be positive.
//
// Connections have CloseWrite, where ln's have it.
func Listen(ln net.Listener, timeout time.Duration) (net.Listener, error) {
	if timeout <= 0 {
		return nil, fmt.Errorf("proxyproto: timeout is %v: it must be positive", timeout)
	}
	return &listener{ln, timeout}, nil
}

type listener struct {
	net.Listener
	timeout time.Duration
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 256), limit: time.Now().Add(l.timeout)}, nil
}

// conn is a connection that begins with a header.
type conn struct {
	net.Conn
	in    *bufio.Reader
	limit time.Time // for the header

	once   sync.Once // for what follows
	header Header
	err    error

	mu       sync.Mutex // guards what follows
	reading  bool       // the header is being read
	deadline time.Time  // for reading, as the owner wants it. Zero is none
}

// begin reads the header, once.
func (c *conn) begin() {
	c.once.Do(func() {
		c.setReading(true)
		c.header, c.err = Read(c.in)
		c.setReading(false)
		if c.err != nil {
			_ = c.Conn.Close() // whatever follows is nobody's
		}
	})
}

func (c *conn) setReading(reading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = reading
	_ = c.setDeadlineLocked() // fails where reading does, too
}

func (c *conn) setDeadlineLocked() error {
	at := c.deadline
	if c.reading && (at.IsZero() || c.limit.Before(at)) {
		at = c.limit
	}
	return c.Conn.SetReadDeadline(at)
}

func (c *conn) Read(p []byte) (int, error) {
	if c.begin(); c.err != nil {
		return 0, c.err
	}
	if c.in.Buffered() > 0 {
		return c.in.Read(p)
	}
	return c.Conn.Read(p)
}

// RemoteAddr is the client's address.
func (c *conn) RemoteAddr() net.Addr {
	if c.begin(); !c.header.Source.IsValid() {
		return c.Conn.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(c.header.Source)
}

// LocalAddr is where the client connected to.
func (c *conn) LocalAddr() net.Addr {
	if c.begin(); !c.header.Destination.IsValid() {
		return c.Conn.LocalAddr()
	}
	return net.TCPAddrFromAddrPort(c.header.Destination)
}

func (c *conn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.Conn.SetWriteDeadline(at))
}

func (c *conn) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = at
	return c.setDeadlineLocked()
}

// CloseWrite ends the direction to the client. See package passthrough.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("proxyproto: CloseWrite: %w", errors.ErrUnsupported)
	}
	return half.CloseWrite()
}
