package mctest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between clients and a server, and does to them what networks and
// busy servers do. It starts by passing everything on. Its methods may be called at
// any time, and by many goroutines; a change reaches the connections that there are.
type Proxy struct {
	// Addr is where clients find it.
	Addr string

	target string
	done   chan struct{} // closed at the end
	all    sync.WaitGroup

	mu      sync.Mutex
	mode    mode          // guarded by mu, as all below
	delay   time.Duration // where mode is slow
	changed chan struct{} // closed when mode or delay changes
	conns   map[net.Conn]bool
	dials   int
}

type mode int

const (
	pass mode = iota
	slow
	hang
	cut
)

// NewProxy starts a proxy in front of the server at target. It ends with t, and cuts
// what is left.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal("mctest: ", err)
	}
	p := &Proxy{
		Addr: ln.Addr().String(), target: target,
		done: make(chan struct{}), changed: make(chan struct{}), conns: make(map[net.Conn]bool),
	}
	p.all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		close(p.done)
		_ = ln.Close()
		p.Cut()
		p.all.Wait()
	})
	return p
}

// Pass passes everything on, what was held back first.
func (p *Proxy) Pass() { p.set(pass, 0) }

// Slow holds each answer back for this long. The requests reach the server at once.
func (p *Proxy) Slow(delay time.Duration) { p.set(slow, delay) }

// Hang holds all answers back. Clients can connect, and the server does as it is told.
func (p *Proxy) Hang() { p.set(hang, 0) }

// Cut closes all connections, and each new one as soon as it is made.
func (p *Proxy) Cut() { p.set(cut, 0) }

// Dials returns how many connections were made so far, those included that were cut.
func (p *Proxy) Dials() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

func (p *Proxy) set(m mode, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.delay = m, delay
	close(p.changed)
	p.changed = make(chan struct{})
	if m == cut {
		for conn := range p.conns {
			_ = conn.Close()
		}
	}
}

// keep notes a connection, so that Cut reaches it. It returns false where it was
// closed instead.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == cut {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = conn.Close()
	delete(p.conns, conn)
}

func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	p.dials++
	p.mu.Unlock()
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	server, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	p.all.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	})
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		if n > 0 && p.hold() {
			_, _ = client.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// hold waits as long as an answer is to be held back. It returns false at the end.
func (p *Proxy) hold() bool {
	for {
		p.mu.Lock()
		m, delay, changed := p.mode, p.delay, p.changed
		p.mu.Unlock()
		var over <-chan time.Time
		switch m {
		case pass, cut:
			return true
		case slow:
			over = time.After(delay)
		}
		select {
		case <-over:
			return true
		case <-changed:
		case <-p.done:
			return false
		}
	}
}
