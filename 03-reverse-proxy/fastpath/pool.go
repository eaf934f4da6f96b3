package fastpath

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"slices"
	"syscall"
	"time"
)

// conn is a connection to a backend. It belongs to one exchange, or to the pool.
type conn struct {
	net.Conn
	addr  string
	r     *bufio.Reader
	buf   []byte // of block
	cut   func() // ends reads and writes that are waiting
	used  bool   // by an earlier exchange
	spoke bool   // the answer has begun
	since time.Time

	raw  syscall.RawConn // nil if there is none
	peek func(fd uintptr) bool
	look look
}

var longAgo = time.Unix(1, 0)

func newConn(nc net.Conn, addr string) *conn {
	c := &conn{Conn: nc, addr: addr, r: bufio.NewReader(nc)}
	c.cut = func() { _ = nc.SetDeadline(longAgo) }
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
		c.peek = c.look.at
	}
	return c
}

// quiet reports whether c may be used again: it is open, and the backend has
// sent nothing. What it sent unasked, an error page before it closed, or what a
// faulty answer had too much, would pass for the answer to the next request.
func (c *conn) quiet() bool {
	return c.raw.Read(c.peek) == nil && c.look.quiet
}

// block reads lines up to and with an empty one, limit octets at most.
func (c *conn) block(limit int) (string, error) {
	buf, start := c.buf[:0], 0
	for {
		piece, err := c.r.ReadSlice('\n')
		buf = append(buf, piece...)
		switch {
		case len(buf) > limit:
			err = fmt.Errorf("header larger than %d octets", limit)
		case err == bufio.ErrBufferFull:
			continue // of a long line
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		case err != nil:
		case !bytes.HasSuffix(buf, []byte("\r\n")):
			err = errors.New("line ends in a bare LF")
		case len(buf)-start > 2:
			start = len(buf)
			continue
		}
		if c.buf = buf; cap(buf) > 64<<10 {
			c.buf = nil // one large header is no reason to keep so much for each connection
		}
		return string(buf), err
	}
}

// get returns a connection to addr: the one that was used last, unless fresh is
// asked for, or a new one. The last one is the likeliest to be open, and lets the
// others get old.
func (t *Transport) get(ctx context.Context, addr string, fresh bool, trace *httptrace.ClientTrace) (*conn, error) {
	if trace.GetConn != nil {
		trace.GetConn(addr)
	}
	now := time.Now()
	for !fresh {
		c := t.pop(addr)
		if c == nil {
			break
		}
		idle := now.Sub(c.since)
		if limit := t.next.IdleConnTimeout; limit > 0 && idle > limit || !c.quiet() {
			_ = c.Close()
			continue
		}
		c.used, c.spoke = true, false
		if trace.GotConn != nil {
			trace.GotConn(httptrace.GotConnInfo{Conn: c.Conn, Reused: true, WasIdle: true, IdleTime: idle})
		}
		return c, nil
	}
	dial := t.next.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, because(ctx, fmt.Errorf("fastpath: %w", err))
	}
	c := newConn(nc, addr)
	if trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: nc})
	}
	return c, nil
}

func (t *Transport) pop(addr string) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = false
	list := t.idle[addr]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	t.idle[addr] = list[:len(list)-1]
	return c
}

// put takes c back. One that cannot be looked at is not kept.
func (t *Transport) put(c *conn) {
	c.since = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.idle[c.addr]
	if t.closed || c.raw == nil || len(list) >= cmp.Or(t.next.MaxIdleConnsPerHost, 2) {
		_ = c.Close()
		return
	}
	t.idle[c.addr] = append(list, c)
	if t.sweep == nil && t.next.IdleConnTimeout > 0 {
		t.sweep = time.AfterFunc(t.next.IdleConnTimeout, t.expire)
	}
}

// expire closes what has been idle for too long.
func (t *Transport) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sweep == nil {
		return // stopped in this moment
	}
	now, limit := time.Now(), t.next.IdleConnTimeout
	next := time.Duration(-1)
	for addr, list := range t.idle {
		young, _ := slices.BinarySearchFunc(list, now.Add(-limit), func(c *conn, t time.Time) int { return c.since.Compare(t) })
		for _, c := range list[:young] {
			_ = c.Close()
		}
		if list = slices.Delete(list, 0, young); len(list) == 0 {
			delete(t.idle, addr) // backends come and go
			continue
		}
		t.idle[addr] = list
		if left := list[0].since.Add(limit).Sub(now); next < 0 || left < next {
			next = left
		}
	}
	if next < 0 {
		t.sweep = nil
		return
	}
	t.sweep.Reset(next + time.Millisecond)
}

// CloseIdleConnections closes the connections that carry nothing, next's, too.
// Those that are in use are closed after their answer, unless a new request has
// come by then.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	for _, list := range t.idle {
		for _, c := range list {
			_ = c.Close()
		}
	}
	clear(t.idle)
	t.closed = true
	if t.sweep != nil {
		t.sweep.Stop()
		t.sweep = nil
	}
	t.mu.Unlock()
	t.next.CloseIdleConnections()
}
