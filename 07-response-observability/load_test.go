package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"clicktocode.example/05-business-logic/stacktest"
)

// load asks a stack over many connections, each from an address of its own and with one
// request after the other. It is lean, for it takes the CPU time of those it measures.
type load struct {
	addr string // of the door
	tls  *tls.Config
	// next makes the n-th request, of all connections together, in buf.
	next func(buf []byte, n int64) []byte
	// status is that of a good answer.
	status int
}

// warm is how long there is load before it is measured: connections are made, which
// takes a TLS handshake each, and caches fill.
const warm = 300 * time.Millisecond

// run has conns connections ask for d, and returns how many answers a second there were.
// Its error says what answer was not good, and there is none that may be.
func (l load) run(conns int, d time.Duration) (perSecond float64, err error) {
	var asked, answered atomic.Int64
	var over atomic.Bool
	faults := make([]error, conns)
	var all, connected sync.WaitGroup
	connected.Add(conns)
	for i := range conns {
		all.Go(func() {
			conn, err := l.dial(i)
			connected.Done()
			if err != nil {
				faults[i] = err
				return
			}
			defer conn.Close()
			faults[i] = l.converse(conn, &asked, &answered, &over)
		})
	}
	connected.Wait() // on a busy machine, handshakes alone may take longer than the rest
	time.Sleep(warm)
	before, began := answered.Load(), time.Now()
	time.Sleep(d)
	n, took := answered.Load()-before, time.Since(began)
	over.Store(true)
	all.Wait()
	return float64(n) / took.Seconds(), errors.Join(faults...)
}

func (l load) dial(i int) (net.Conn, error) {
	dialer := net.Dialer{Timeout: stacktest.Patience}
	if runtime.GOOS == "linux" { // which has all of 127.0.0.0/8
		dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 2, byte(i>>8), byte(i+1))}
	}
	return tls.DialWithDialer(&dialer, "tcp", l.addr, l.tls)
}

func (l load) converse(conn net.Conn, asked, answered *atomic.Int64, over *atomic.Bool) error {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Minute)) // once: each would be a system of timers of its own
	in := bufio.NewReaderSize(conn, 8<<10)
	var buf []byte
	for !over.Load() {
		buf = l.next(buf[:0], asked.Add(1))
		if _, err := conn.Write(buf); err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if err := l.answer(in); err != nil {
			return fmt.Errorf("load: %w, after %s", err, bytes.SplitN(buf, []byte("\r\n"), 2)[0])
		}
		answered.Add(1)
	}
	return nil
}

// answer reads an answer, which has a Content-Length.
func (l load) answer(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	good := len(line) > 12 && string(line[9:12]) == strconv.Itoa(l.status)
	first, length := "", -1
	if !good {
		first = string(line)
	}
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		const field = "Content-Length:"
		if len(line) > len(field) && bytes.EqualFold(line[:len(field)], []byte(field)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(field):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("no Content-Length: %s", strings.TrimSpace(first))
	}
	if !good {
		said, _ := in.Peek(min(length, 300))
		return fmt.Errorf("%s: %s", strings.TrimSpace(first), said)
	}
	_, err = in.Discard(length)
	return err
}
