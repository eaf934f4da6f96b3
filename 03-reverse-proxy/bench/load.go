package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// sample is one measurement.
type sample struct {
	requests int     // that were answered as they should, while it was measured
	all      int     // and before
	errors   int     // that were not
	rate     float64 // requests a second
	p50, p99 float64 // ms
	cpu      float64 // µs of the proxy's time a request; below zero: not known
}

// request is what the client sends, over and over, and how.
type request struct {
	text []byte
	tls  *tls.Config // nil is in the clear
}

// warm is how long there is load before it is measured: pools and caches fill,
// and connections are made, which takes a TLS handshake each.
const warm = 500 * time.Millisecond

// patience is how long one answer may take.
const patience = 5 * time.Second

// maxErrors is when a caller gives up.
const maxErrors = 100

// load asks addr over o.conns connections, each with one request after the
// other, for o.duration. It is as lean as can be, for it takes the CPU time of
// those it measures: one write and one read a request, and no allocation.
func load(ctx context.Context, addr string, r request, o options, pid int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, o.warm+o.duration+2*patience)
	defer cancel()
	var state atomic.Int32 // one of those below
	callers := make([]*caller, o.conns)
	var all sync.WaitGroup
	var ended atomic.Int64
	for i := range callers {
		callers[i] = &caller{addr: addr, request: r, state: &state}
		all.Go(func() { callers[i].run(ctx); ended.Add(1) })
	}
	sleep(ctx, o.warm)
	settled := func() bool { // on a busy machine, handshakes alone may take longer than that
		return !slices.ContainsFunc(callers, func(c *caller) bool { return c.tries.Load() == 0 })
	}
	until(ctx, settled)
	tries := total(callers)
	before, began := cpu(pid), time.Now()
	state.Store(measuring)
	sleep(ctx, o.duration)
	until(ctx, func() bool { // the first of each was sent before
		return total(callers) > tries+int64(len(callers)) || ended.Load() == int64(len(callers))
	})
	state.Store(over)
	took, after := time.Since(began), cpu(pid)
	all.Wait()
	if err := ctx.Err(); err != nil {
		return sample{}, fmt.Errorf("load: %w", err)
	}

	var s sample
	var times []time.Duration
	var fault error
	for _, c := range callers {
		s.errors += c.errors
		times = append(times, c.times...)
		fault = errors.Join(fault, c.fault)
	}
	if s.requests = len(times); s.requests == 0 || s.errors > s.requests/100 {
		return s, errors.Join(fmt.Errorf("load: %d requests were answered, %d were not", s.requests, s.errors), fault)
	}
	s.all = int(total(callers))
	slices.Sort(times)
	s.rate = float64(s.requests) / took.Seconds()
	s.p50, s.p99 = milliseconds(times[len(times)/2]), milliseconds(times[len(times)*99/100])
	s.cpu = -1
	if before >= 0 {
		s.cpu = (after - before).Seconds() * 1e6 / float64(s.requests)
	}
	return s, nil
}

// until waits until ok holds, or ctx is done.
func until(ctx context.Context, ok func() bool) {
	for !ok() && ctx.Err() == nil {
		sleep(ctx, time.Millisecond)
	}
}

// total is how often all callers have tried.
func total(callers []*caller) (n int64) {
	for _, c := range callers {
		n += c.tries.Load()
	}
	return n
}

// The states of a measurement.
const (
	warming = iota
	measuring
	over
)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// caller is one connection's worth of load.
type caller struct {
	addr    string
	request request
	state   *atomic.Int32

	tries  atomic.Int64 // requests that were answered, and failures
	times  []time.Duration
	errors int
	fault  error // the last
	buf    [16 << 10]byte
}

// run asks until it is over. A connection that fails is replaced.
func (c *caller) run(ctx context.Context) {
	c.times = make([]time.Duration, 0, 1<<14)
	for c.state.Load() != over && ctx.Err() == nil && c.errors < maxErrors {
		if err := c.connection(ctx); err != nil {
			c.fault = err
			c.errors++
			c.tries.Add(1)
		}
	}
}

// connection asks until it is over, or until the server closes its connection.
func (c *caller) connection(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	if c.request.tls != nil {
		conn = tls.Client(conn, c.request.tls)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // once: each would be a system of timers of its own
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	began := time.Now()
	for c.state.Load() != over {
		last, err := c.ask(conn)
		if err != nil {
			return err
		}
		now := time.Now()
		c.tries.Add(1)
		if c.state.Load() == measuring {
			c.times = append(c.times, now.Sub(began))
		}
		if began = now; last {
			return nil
		}
	}
	return nil
}

// ask sends the request and reads its answer, which has to be all of it. last
// says that the server will close the connection.
func (c *caller) ask(conn net.Conn) (last bool, err error) {
	if _, err := conn.Write(c.request.text); err != nil {
		return false, err
	}
	n := 0
	for {
		more, err := conn.Read(c.buf[n:])
		n += more
		size, last, headErr := parse(c.buf[:n])
		switch {
		case headErr != nil:
			return false, headErr
		case size > 0 && n > size:
			return false, fmt.Errorf("load: %d octets behind an answer of %d", n-size, size)
		case size > 0 && n == size:
			return last, nil
		case err != nil:
			return false, fmt.Errorf("load: after %d octets of an answer: %w", n, err)
		}
	}
}

var (
	headEnd = []byte("\r\n\r\n")
	lineEnd = []byte("\r\n")
	okLine  = []byte("HTTP/1.1 200 ")
)

// parse reads how long an answer is, header and content, from what came of it.
// size is 0 until its header is whole. An answer that is not 200, or not as long
// as it should be, is an error.
func parse(text []byte) (size int, last bool, err error) {
	end := bytes.Index(text, headEnd)
	if end < 0 {
		if len(text) > len(okLine) && !bytes.HasPrefix(text, okLine) {
			return 0, false, fmt.Errorf("load: not 200: %.80q", text)
		}
		return 0, false, nil
	}
	if !bytes.HasPrefix(text, okLine) {
		return 0, false, fmt.Errorf("load: not 200: %.80q", text)
	}
	length := -1
	for rest := text[:end]; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, lineEnd)
		if len(line) < 12 || line[0]|' ' != 'c' {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		case bytes.EqualFold(name, []byte("Connection")):
			last = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		}
	}
	if length != len(answer) {
		return 0, false, fmt.Errorf("load: want Content-Length: %d: %q", len(answer), text[:end])
	}
	return end + len(headEnd) + length, last, nil
}
