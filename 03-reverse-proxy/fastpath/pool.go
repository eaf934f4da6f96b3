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
	"os"
	"slices"
	"sync"
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

	mu    sync.Mutex      // guards what follows
	ctx   context.Context // the exchange's; nil once it is over
	until time.Time       // when the answer's header is to be there; zero if that does not matter (any more)
	stop  func() bool     // nil while ctx is not watched
}

var longAgo = time.Unix(1, 0)

func newConn(nc net.Conn, addr string) *conn {
	c := &conn{Conn: nc, addr: addr}
	c.r = bufio.NewReader(c)
	c.cut = func() { _ = nc.SetDeadline(longAgo) }
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
		c.peek = c.look.at
	}
	return c
}

// moment is how long an exchange may stand still before its context is watched.
// Most answers come sooner, and then to watch (a context.AfterFunc, a second
// deadline) would cost as much as to parse the answer. For so long nobody notices
// that a client has left.
const moment = 10 * time.Millisecond

// begin makes c ctx's, up to release. The answer's header may take limit; zero is
// as long as it likes.
func (c *conn) begin(ctx context.Context, now time.Time, limit time.Duration) {
	first := now.Add(moment)
	c.ctx, c.until = ctx, time.Time{}
	if limit > 0 {
		if c.until = now.Add(limit); limit < moment {
			first = c.until
		}
	}
	_ = c.SetDeadline(first) // also in place of the last exchange's, which stays
}

// Read and Write begin the watch when the first moment is over, and go on.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && n == 0 && c.watch(err) {
		return c.Conn.Read(p)
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && c.watch(err) {
		var more int
		more, err = c.Conn.Write(p[n:])
		n += more
	}
	return n, err
}

// watch reports whether err is the end of the first moment. From now on, ctx and
// until end what waits.
func (c *conn) watch(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil || c.stop != nil {
		return false
	}
	_ = c.SetDeadline(c.until) // before AfterFunc, whose deadline must not be overwritten
	c.stop = context.AfterFunc(c.ctx, c.cut)
	return true
}

// headed is for when the answer's header is there: the body may take as long as it
// likes.
func (c *conn) headed() {
	c.until = time.Time{}
	if c.stop != nil {
		_ = c.SetDeadline(time.Time{})
	}
}

// release ends the exchange. It reports false if ctx's end is cutting c, or has:
// left alone with that, the next request would be cut.
func (c *conn) release() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	stop := c.stop
	c.ctx, c.stop = nil, nil
	return stop == nil || stop()
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
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("fastpath: %w", err)
	}
	now := time.Now()
	for !fresh {
		c := t.pop(addr)
		if c == nil {
			break
		}
		idle := now.Sub(c.since)
		c.begin(ctx, now, t.next.ResponseHeaderTimeout) // before the look, which an old deadline would end
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
	c.begin(ctx, time.Now(), t.next.ResponseHeaderTimeout)
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
