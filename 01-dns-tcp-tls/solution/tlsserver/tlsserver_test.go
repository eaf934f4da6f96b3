package tlsserver_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/01-dns-tcp-tls/solution/tlsserver"
)

// patience is how long a handshake or an answer may take.
const patience = time.Second

func TestConfig(t *testing.T) {
	t.Run("shows_a_certificate", func(t *testing.T) {
		s := serve(t)
		conn, err := s.dial(t, nil)
		if err != nil {
			t.Fatalf("the server must show the certificate that current gives, and the handshake failed: %s. Where does a tls.Config get its certificate from at each handshake? (RFC 8446 §4.4.2)", s.told(err))
		}
		assert.Equal(t, s.serial(), serial(conn), "the serial number of the certificate that the server showed: it must be that which current gives")
	})

	t.Run("speaks_TLS_1_3", func(t *testing.T) {
		conn := serve(t).connect(t, "a client that knows TLS 1.3", nil)
		assert.Equal(t, "TLS 1.3", tls.VersionName(conn.ConnectionState().Version), "both sides know TLS 1.3: RFC 8446")
	})

	t.Run("serves_TLS_1_2_and_nothing_older", func(t *testing.T) {
		s := serve(t)
		conn := s.connect(t, "a client that knows TLS 1.2 and nothing newer, and 1.2 (0x303) is the server's lowest version", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
		assert.Equal(t, "TLS 1.2", tls.VersionName(conn.ConnectionState().Version), "the version that was agreed on with a client that knows TLS 1.2 and nothing newer")
		for _, old := range []uint16{tls.VersionTLS11, tls.VersionTLS10} {
			_, err := s.dial(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = old, old })
			assert.Error(t, err, "a client was served by %s, which is broken and withdrawn: RFC 8996", tls.VersionName(old))
		}
		t.Setenv("GODEBUG", "tls10server=1")
		for _, old := range []uint16{tls.VersionTLS11, tls.VersionTLS10} {
			_, err := s.dial(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = old, old })
			assert.Error(t, err, "with GODEBUG=tls10server=1 in the server's environment, a client was served by %s: where MinVersion is not set, crypto/tls has a default, which the environment may lower. Set it", tls.VersionName(old))
		}
	})

	t.Run("agrees_on_h2", func(t *testing.T) {
		conn := serve(t).connect(t, "a client that offers h2 alone", func(c *tls.Config) { c.NextProtos = []string{"h2"} })
		assert.Equal(t, "h2", conn.ConnectionState().NegotiatedProtocol,
			`the client offered "h2" by ALPN. Without an agreement it must fall back to HTTP/1.1: name the protocols that the server speaks (RFC 7301 §3.2)`)
	})

	t.Run("prefers_h2_to_http_1_1", func(t *testing.T) {
		s := serve(t)
		for _, offer := range [][]string{{"h2", "http/1.1"}, {"http/1.1", "h2"}} {
			conn := s.connect(t, fmt.Sprintf("a client that offers %q", offer), func(c *tls.Config) { c.NextProtos = offer })
			assert.Equal(t, "h2", conn.ConnectionState().NegotiatedProtocol,
				"the client offered %q by ALPN. Of what both sides know, the server takes the first in its own list, so h2 must stand first there (RFC 7301 §3.2)", offer)
		}
	})

	t.Run("agrees_on_http_1_1_with_older_clients", func(t *testing.T) {
		s := serve(t)
		conn := s.connect(t, "a client that offers http/1.1 alone, which the server's list (NextProtos) holds behind h2", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
		assert.Equal(t, "http/1.1", conn.ConnectionState().NegotiatedProtocol, "the client offered http/1.1 alone: RFC 7301 §3.2")
		conn = s.connect(t, "a client without ALPN", func(c *tls.Config) { c.NextProtos = nil })
		assert.Empty(t, conn.ConnectionState().NegotiatedProtocol, "a client without ALPN is served too, and nothing is agreed on")
	})

	t.Run("shows_a_renewed_certificate_to_the_next_connection", func(t *testing.T) {
		s := serve(t)
		first := serial(s.connect(t, "the first client", nil))
		renewed := s.renew(t)
		require.NotEqual(t, first, renewed)
		assert.Equal(t, renewed, serial(s.connect(t, "a client after the renewal", nil)),
			"the certificate was renewed, and the next connection was shown the old one: ask current at each handshake, not once")
	})

	t.Run("shows_it_to_clients_that_send_no_name_too", func(t *testing.T) {
		s := serve(t)
		byAddress := func(c *tls.Config) { c.ServerName = "127.0.0.1" } // an address is not sent: RFC 6066 §3
		s.connect(t, "a client that asks for 127.0.0.1", byAddress)
		renewed := s.renew(t)
		assert.Equal(t, renewed, serial(s.connect(t, "a client that asks for 127.0.0.1, after the renewal", byAddress)),
			"a client that sends no server name was shown the old certificate: where Certificates is set, crypto/tls takes it for such clients, and does not call GetCertificate")
	})

	t.Run("keeps_open_connections_over_a_renewal", func(t *testing.T) {
		s := serve(t)
		open := s.connect(t, "the first client", nil)
		old := serial(open)
		s.renew(t)
		assert.NotEqual(t, old, serial(s.connect(t, "a client after the renewal", nil)), "the next connection is shown the renewed certificate")
		assert.NoError(t, echo(open), "the certificate was renewed while this connection was open: it goes on as it began")
		assert.Equal(t, old, serial(open), "the serial number of the certificate on the open connection")
	})

	t.Run("lets_a_client_resume", func(t *testing.T) {
		s := serve(t)
		tickets := tls.NewLRUClientSessionCache(1)
		withTickets := func(c *tls.Config) { c.ClientSessionCache = tickets }
		assert.False(t, s.connect(t, "a client that was never here", withTickets).ConnectionState().DidResume, "a client that was never here has no session to resume")
		assert.True(t, s.connect(t, "a client that comes back with a ticket", withTickets).ConnectionState().DidResume,
			"the client came back with a ticket, and had to go through a full handshake again. Session tickets must stay on: RFC 8446 §2.2")
	})

	t.Run("serves_the_last_certificate_when_the_next_fails", func(t *testing.T) {
		s := serve(t)
		first := serial(s.connect(t, "a client while all is well", nil))
		s.answer.Store(&answer{err: errRenewal})
		s.shows(t, first, "current gave this certificate before, and now an error. It is good for days yet: a renewal that fails must not turn clients away")
		renewed := s.renew(t)
		s.shows(t, renewed, "current works again: what it gives counts, not what was remembered")
		s.answer.Store(&answer{err: errRenewal})
		s.shows(t, renewed, "current gave one certificate, then a second one, and now an error: the second one is the last")
	})

	t.Run("takes_a_nil_certificate_for_a_failure", func(t *testing.T) {
		s := serve(t)
		last := serial(s.connect(t, "a client while all is well", nil))
		s.answer.Store(&answer{})
		for range 2 { // the second one finds what the first one remembered
			s.shows(t, last, "current gave this certificate before, and now a nil certificate, with a nil error. That is a failure like any other, and this is still the last certificate")
		}
		s.shows(t, s.renew(t), "current works again: what it gives counts, not what was remembered")
	})

	t.Run("takes_no_certificate_that_stands_beside_an_error", func(t *testing.T) {
		s := serve(t)
		last := serial(s.connect(t, "a client while all is well", nil))
		s.renew(t)
		s.answer.Store(&answer{cert: s.answer.Load().cert, err: errRenewal})
		for range 2 { // the second one finds what the first one remembered
			s.shows(t, last, "current gave this certificate before, and now another one and an error. That is a failure: what stands beside an error counts for nothing, and is not remembered either")
		}
		s.shows(t, s.renew(t), "current works again: what it gives counts, not what was remembered")
	})

	t.Run("fails_while_there_never_was_a_certificate", func(t *testing.T) {
		s := serve(t, answer{err: errRenewal})
		err := s.refuses(t, "current fails, and never gave a certificate")
		assert.ErrorIs(t, err, errRenewal, "current failed, and never gave a certificate: the server's handshake must fail with current's error, wrapped")
		s.shows(t, s.renew(t), "current has its first certificate now")
	})

	t.Run("fails_while_there_were_only_nil_certificates", func(t *testing.T) {
		s := serve(t, answer{})
		err := s.refuses(t, "current gives a nil certificate with a nil error, and never gave another")
		assert.NotContains(t, err.Error(), "%!", "current gave a nil certificate with a nil error, and never gave another. The server's handshake failed, as it must, but there is no error to wrap: make one")
		s.shows(t, s.renew(t), "current has its first certificate now")
	})

	t.Run("lets_no_handshake_wait_for_another", func(t *testing.T) {
		s := serve(t)
		gate := make(chan struct{})
		release := sync.OnceFunc(func() { close(gate) })
		defer release()
		slow := s.hold(t, *s.answer.Load(), gate)
		s.renew(t)
		if _, err := s.dial(t, nil); err != nil {
			t.Fatalf("one handshake waits for current, and another one had to wait with it: hold no lock while current is asked. That one failed: %s", s.told(err))
		}
		release()
		<-slow.done
		assert.NoError(t, slow.err, "one handshake waited for current, which has answered now: its client must be served")
	})

	t.Run("remembers_the_answer_that_came_last", func(t *testing.T) {
		s := serve(t)
		gate := make(chan struct{})
		release := sync.OnceFunc(func() { close(gate) })
		defer release()
		old := s.serial()
		slow := s.hold(t, *s.answer.Load(), gate)
		s.shows(t, s.renew(t), "one handshake waits for current, and to this one current gave a newer certificate at once")
		release()
		<-slow.done
		require.NoError(t, slow.err, "one handshake waited for current, which has answered now: its client must be served")
		assert.Equal(t, old, slow.serial, "the serial number of the certificate that was shown. Two handshakes overlapped, and each is shown what current gave for it")
		s.answer.Store(&answer{err: errRenewal})
		s.shows(t, old, "two handshakes overlapped, and now current fails. The slower one had its answer last, so that is the last certificate that current gave, though it is the older one")
	})

	// What handshakes share without a lock or an atomic value, go test -race finds here.
	t.Run("serves_handshakes_that_are_answered_at_once", func(t *testing.T) {
		s := serve(t)
		all := []string{serial(s.connect(t, "the first client", nil))}
		gate := make(chan struct{})
		release := sync.OnceFunc(func() { close(gate) })
		defer release()
		var waiting []*waiter
		for range 4 {
			all = append(all, s.renew(t))
			waiting = append(waiting, s.hold(t, *s.answer.Load(), gate))
		}
		waiting = append(waiting, s.hold(t, answer{err: errRenewal}, gate))
		release()
		for i, w := range waiting {
			<-w.done
			require.NoError(t, w.err, "current answered 5 handshakes at the same time, 4 with a certificate and 1 with an error, and it gave one before: handshake %d must succeed", i+1)
			assert.Contains(t, all, w.serial, "the serial number of the certificate that was shown. current answered 5 handshakes at the same time, 4 with a certificate and 1 with an error: this is handshake %d", i+1)
		}
	})
}

var errRenewal = errors.New("renewal failed")

// answer is what current answers.
type answer struct {
	cert *tls.Certificate
	err  error
	wait func() // unless nil, it comes first
}

// server serves with the settings under test, and says back each line that it is sent.
type server struct {
	authority *certificate.Authority
	answer    atomic.Pointer[answer]
	addr      string
	failed    chan error // what handshakes failed with
}

// serve runs a server until the test's end. Its current answers with a
// certificate, or with what first says.
func serve(t *testing.T, first ...answer) *server {
	t.Helper()
	authority, err := certificate.NewAuthority(time.Now())
	require.NoError(t, err)
	s := &server{authority: authority, failed: make(chan error, 100)}
	s.renew(t)
	if len(first) > 0 {
		s.answer.Store(&first[0])
	}
	var config *tls.Config
	fault := panics.In(func() {
		config = tlsserver.Config(func() (*tls.Certificate, error) {
			a := s.answer.Load()
			if a.wait != nil {
				a.wait()
			}
			return a.cert, a.err
		})
	})
	if fault != "" {
		require.Fail(t, fault, "Config panicked: it must return settings, whatever current gives")
	}
	require.NotNil(t, config, "Config must return settings")

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.addr = ln.Addr().String()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.handle(conn, config) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait() // handle has deadlines
	})
	return s
}

func (s *server) handle(conn net.Conn, config *tls.Config) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(2*patience)) != nil {
		return
	}
	secured := tls.Server(conn, config)
	var err error
	if fault := panics.In(func() { err = secured.Handshake() }); fault != "" {
		err = errors.New("it panicked: " + fault)
	}
	if err != nil {
		s.failed <- err
		return
	}
	_, _ = io.Copy(secured, secured)
}

// renew makes a certificate, which current gives from now on, and returns its serial number.
func (s *server) renew(t *testing.T) string {
	t.Helper()
	cert, err := s.authority.Issue(time.Now(), "shop.test", "127.0.0.1")
	require.NoError(t, err)
	s.answer.Store(&answer{cert: cert})
	return s.serial()
}

// serial is the number of the certificate that current gives.
func (s *server) serial() string { return s.answer.Load().cert.Leaf.SerialNumber.Text(16) }

// connect is dial for a client, described by who, that must be served.
func (s *server) connect(t *testing.T, who string, change func(*tls.Config)) *tls.Conn {
	t.Helper()
	conn, err := s.dial(t, change)
	if err != nil {
		t.Fatalf("%s must be served, and the handshake failed: %s", who, s.told(err))
	}
	return conn
}

// shows fails unless a client is served, and shown the certificate with this
// serial number. In why is what came before.
func (s *server) shows(t *testing.T, want, why string) {
	t.Helper()
	conn, err := s.dial(t, nil)
	if err != nil {
		t.Fatalf("%s. The handshake failed: %s", why, s.told(err))
	}
	assert.Equal(t, want, serial(conn), "the serial number of the certificate that was shown: %s", why)
}

// refuses fails unless a client is turned away, and returns what the server's
// side says. In why is what came before.
func (s *server) refuses(t *testing.T, why string) error {
	t.Helper()
	if _, err := s.dial(t, nil); err == nil {
		t.Fatalf("%s: the handshake must fail, and it did not", why)
	}
	select {
	case err := <-s.failed:
		if strings.HasPrefix(err.Error(), "it panicked") {
			t.Fatalf("%s: the handshake must fail by an error, and %v", why, err)
		}
		return err
	case <-time.After(patience):
		t.Fatalf("%s: the server's handshake must fail, and it did not", why)
	}
	return nil
}

// waiter is a client whose handshake waits in current.
type waiter struct {
	done   chan struct{} // closed when the client has come to its end
	serial string        // of the certificate that it was shown
	err    error
}

// hold lets a client come whose handshake is answered with a, once gate is
// closed, and returns when it waits there.
func (s *server) hold(t *testing.T, a answer, gate <-chan struct{}) *waiter {
	t.Helper()
	entered := make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	a.wait = func() { enter(); <-gate }
	s.answer.Store(&a)
	w := &waiter{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		conn, err := s.dial(t, nil) // it has a deadline
		if w.err = err; err == nil {
			w.serial = serial(conn)
		}
	}()
	t.Cleanup(func() { <-w.done })
	select {
	case <-entered:
	case <-time.After(patience):
		t.Fatal("a client came, and current was not asked for its certificate")
	}
	return w
}

// told is what the two sides say once a client's handshake ended in err.
func (s *server) told(err error) string {
	meaning := ""
	switch text := err.Error(); {
	case strings.Contains(text, "unrecognized name"):
		meaning = ", which crypto/tls tells a client when it has no certificate to show"
	case strings.Contains(text, "internal error"):
		meaning = ", which crypto/tls tells a client when an error came from your function"
	}
	server := "nothing"
	select {
	case err := <-s.failed:
		server = fmt.Sprintf("%q", err)
	case <-time.After(patience / 10):
	}
	return fmt.Sprintf("the client's side says %q%s; the server's side says %s", err, meaning, server)
}

// dial connects as a client that trusts the authority, with settings as
// change leaves them (nil changes nothing), and exchanges a line.
func (s *server) dial(t *testing.T, change func(*tls.Config)) (*tls.Conn, error) {
	roots := x509.NewCertPool()
	roots.AddCert(s.authority.Certificate)
	config := &tls.Config{RootCAs: roots, ServerName: "shop.test", NextProtos: []string{"h2", "http/1.1"}}
	if change != nil {
		change(config)
	}
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	secured := tls.Client(conn, config)
	if err := secured.Handshake(); err != nil {
		return nil, err
	}
	return secured, echo(secured) // in TLS 1.3, tickets and refusals come behind the handshake
}

// echo sends a line and reads it back.
func echo(conn *tls.Conn) error {
	if _, err := io.WriteString(conn, "still there?\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "still there?\n" {
		err = fmt.Errorf("sent %q, got back %q", "still there?\n", line)
	}
	return err
}

// serial is the number of the certificate that the server showed.
func serial(conn *tls.Conn) string {
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}
