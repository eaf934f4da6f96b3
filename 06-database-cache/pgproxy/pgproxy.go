// Package pgproxy stands between a program and its PostgreSQL server, for tests:
// it sees each statement that is sent, can count it, hold it up, or cut the
// connection before the server gets it, or before its answer comes back.
//
// Real connections break at any moment, and it takes luck to see one break while
// a COMMIT is on its way. The proxy reads the messages, and cuts there. Source:
// PostgreSQL's manual, "Frontend/Backend Protocol", of which it needs the framing
// and five messages: Query, Parse, Bind, Execute, and ReadyForQuery.
package pgproxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lib/pq"
)

// Fate is what becomes of a statement.
type Fate int

// The fates.
const (
	// Pass: it goes to the server, and its answer comes back.
	Pass Fate = iota
	// CutBefore: the server never sees it, and the connection is cut, both ways.
	CutBefore
	// CutAfter: the server executes it. When that is done, the connection is cut
	// instead of passing its answer on.
	CutAfter
)

// Proxy is a proxy that runs until its test ends.
type Proxy struct {
	// URL is the database's, by way of the proxy.
	URL string

	network, address string // the server's
	judge            func(sql string) Fate

	mu         sync.Mutex // guards what follows
	statements []string
	open       map[net.Conn]bool
	closed     bool
	running    sync.WaitGroup
}

// Start starts a proxy in front of the database at databaseURL, which has to be on
// this machine, and takes no TLS here. Each statement is shown to judge before
// it goes on: the text of a Query, or that of what an Execute executes, as BEGIN and
// COMMIT are, too. judge is called by many goroutines at once if there are many
// connections, and while it waits, its own connection does. nil lets all pass.
func Start(t testing.TB, databaseURL string, judge func(sql string) Fate) *Proxy {
	t.Helper()
	config, err := pq.NewConfig(databaseURL)
	if err != nil {
		t.Fatalf("pgproxy: %v", err)
	}
	p := &Proxy{network: "tcp", address: net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), judge: judge, open: map[net.Conn]bool{}}
	if strings.HasPrefix(config.Host, "/") {
		p.network, p.address = "unix", filepath.Join(config.Host, fmt.Sprintf(".s.PGSQL.%d", config.Port))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("pgproxy: %v", err)
	}
	user := url.User(config.User)
	if config.Password != "" {
		user = url.UserPassword(config.User, config.Password)
	}
	p.URL = (&url.URL{Scheme: "postgres", User: user, Host: listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable"}).String()
	p.running.Go(func() { p.serve(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		p.closed = true
		for conn := range p.open {
			_ = conn.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

// Statements are those that were sent so far, in their order, whatever became of
// them. The slice is the caller's own.
func (p *Proxy) Statements() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.statements)
}

// Forget forgets the statements so far, so that what comes now can be counted.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statements = nil
}

func (p *Proxy) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() {
			server, err := net.Dial(p.network, p.address)
			if err != nil {
				_ = client.Close()
				return
			}
			defer p.track(client, server)()
			s := &session{proxy: p, client: client, server: server}
			var back sync.WaitGroup
			back.Go(s.answers)
			s.requests()
			_ = server.Close()
			back.Wait()
		})
	}
}

// track has conns closed when the test ends, and closes them when its result is
// called.
func (p *Proxy) track(conns ...net.Conn) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.open[conn] = true
		if p.closed {
			_ = conn.Close()
		}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
			delete(p.open, conn)
		}
	}
}

// session is one connection.
type session struct {
	proxy          *Proxy
	client, server net.Conn
	cut            atomic.Bool // no answer is passed on any more, and the next ReadyForQuery ends it
}

// requests passes on what the client sends, until either side ends or it is cut.
func (s *session) requests() {
	in := bufio.NewReader(s.client)
	var size [4]byte // a connection's first message has no type
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return
	}
	first := make([]byte, binary.BigEndian.Uint32(size[:])-4)
	if _, err := io.ReadFull(in, first); err != nil {
		return
	}
	if _, err := s.server.Write(slices.Concat(size[:], first)); err != nil {
		return
	}
	prepared, portals := map[string]string{}, map[string]string{}
	for {
		kind, body, err := message(in)
		if err != nil {
			return
		}
		fate := Pass
		switch kind {
		case 'P': // Parse: statement, text
			name, rest := text(body)
			prepared[name], _ = text(rest)
		case 'B': // Bind: portal, statement
			portal, rest := text(body)
			name, _ := text(rest)
			portals[portal] = prepared[name]
		case 'E': // Execute: portal
			portal, _ := text(body)
			fate = s.proxy.see(portals[portal])
		case 'Q': // Query: text
			sql, _ := text(body)
			fate = s.proxy.see(sql)
		}
		switch fate {
		case CutBefore:
			_ = s.client.Close()
			return
		case CutAfter:
			s.cut.Store(true)
		}
		if _, err := s.server.Write(frame(kind, body)); err != nil {
			return
		}
	}
}

// answers passes on what the server sends.
func (s *session) answers() {
	defer s.client.Close() // or the client would wait for an answer of a server that has gone
	in := bufio.NewReader(s.server)
	for {
		kind, body, err := message(in)
		if err != nil {
			return
		}
		if s.cut.Load() {
			if kind == 'Z' { // ReadyForQuery: it is done
				return
			}
			continue
		}
		if _, err := s.client.Write(frame(kind, body)); err != nil {
			return
		}
	}
}

// see notes a statement, and asks what becomes of it.
func (p *Proxy) see(sql string) Fate {
	p.mu.Lock()
	p.statements = append(p.statements, sql)
	p.mu.Unlock()
	if p.judge == nil {
		return Pass
	}
	return p.judge(sql)
}

// message reads a message: a type octet, its length with itself and without the
// type, and its body.
func message(in *bufio.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(in, body)
	return head[0], body, err
}

func frame(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

// text reads a text, which a zero octet ends.
func text(b []byte) (s string, rest []byte) {
	s, after, _ := strings.Cut(string(b), "\x00")
	return s, []byte(after)
}
