package tlsserver_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/01-dns-tcp-tls/solution/tlsserver"
)

// patience is how long a handshake or an answer may take.
const patience = time.Second

func TestConfig(t *testing.T) {
	t.Run("shows_a_certificate", func(t *testing.T) {
		s := serve(t)
		conn, err := s.dial(t, nil)
		require.NoError(t, err, "the server must show the certificate that current gives, and finds none: its side says %q. Where does a tls.Config get its certificate from in each handshake? (RFC 8446 §4.4.2)", s.why(err))
		assert.Equal(t, s.serial(), serial(conn), "the server must show the certificate that current gives")
	})

	t.Run("speaks_TLS_1_3", func(t *testing.T) {
		conn := serve(t).connect(t, "a client that knows TLS 1.3", nil)
		assert.Equal(t, "TLS 1.3", tls.VersionName(conn.ConnectionState().Version), "both sides know TLS 1.3: RFC 8446")
	})

	t.Run("serves_TLS_1_2_and_nothing_older", func(t *testing.T) {
		s := serve(t)
		conn := s.connect(t, "a client that knows TLS 1.2 and nothing newer", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
		assert.Equal(t, "TLS 1.2", tls.VersionName(conn.ConnectionState().Version))
		for _, old := range []uint16{tls.VersionTLS11, tls.VersionTLS10} {
			_, err := s.dial(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = old, old })
			assert.Error(t, err, "a client was served by %s, which is broken and withdrawn: RFC 8996", tls.VersionName(old))
		}
	})

	t.Run("agrees_on_h2", func(t *testing.T) {
		s := serve(t)
		for _, offer := range [][]string{{"h2", "http/1.1"}, {"http/1.1", "h2"}} {
			conn := s.connect(t, fmt.Sprintf("a client that offers %q", offer), func(c *tls.Config) { c.NextProtos = offer })
			assert.Equal(t, "h2", conn.ConnectionState().NegotiatedProtocol,
				`the client offered %q by ALPN. Without an agreement on "h2" it must fall back to HTTP/1.1: RFC 7301 §3.2`, offer)
		}
	})

	t.Run("agrees_on_http_1_1_with_older_clients", func(t *testing.T) {
		s := serve(t)
		conn := s.connect(t, "a client that offers http/1.1 alone", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
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
		assert.Equal(t, old, serial(open))
	})

	t.Run("lets_a_client_resume", func(t *testing.T) {
		s := serve(t)
		tickets := tls.NewLRUClientSessionCache(1)
		withTickets := func(c *tls.Config) { c.ClientSessionCache = tickets }
		assert.False(t, s.connect(t, "a client that was never here", withTickets).ConnectionState().DidResume)
		assert.True(t, s.connect(t, "a client that comes back with a ticket", withTickets).ConnectionState().DidResume,
			"the client came back with a ticket, and had to go through a full handshake again. Session tickets must stay on: RFC 8446 §2.2")
	})

	t.Run("serves_the_last_certificate_when_the_next_fails", func(t *testing.T) {
		s := serve(t)
		last := serial(s.connect(t, "a client while all is well", nil))
		for what, answer := range map[string]answer{"an error": {err: errRenewal}, "no certificate": {}} {
			s.answer.Store(&answer)
			conn, err := s.dial(t, nil)
			require.NoError(t, err, "current gave a certificate before, and now %s. The last good certificate is still good: a renewal that fails must not turn clients away", what)
			assert.Equal(t, last, serial(conn))
		}
		renewed := s.renew(t)
		assert.Equal(t, renewed, serial(s.connect(t, "a client when renewal works again", nil)),
			"current works again: its certificate counts, not the one that was remembered")
	})

	t.Run("recovers_when_there_was_no_certificate_yet", func(t *testing.T) {
		s := serve(t, answer{err: errRenewal})
		_, err := s.dial(t, nil)
		require.Error(t, err, "current fails and never gave a certificate: the handshake must fail")
		select {
		case err := <-s.failed:
			assert.ErrorIs(t, err, errRenewal, "the server's handshake must fail with what current said, wrapped")
		case <-time.After(patience):
			assert.Fail(t, "no error", "the server's handshake did not fail")
		}
		s.renew(t)
		assert.Equal(t, s.serial(), serial(s.connect(t, "a client when current has its first certificate", nil)))
	})

	t.Run("lets_no_handshake_wait_for_another", func(t *testing.T) {
		s := serve(t)
		slow, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var asked atomic.Bool
		next := *s.answer.Load()
		next.wait = func() {
			if asked.CompareAndSwap(false, true) {
				close(slow)
				<-release
			}
		}
		s.answer.Store(&next)
		go func() {
			defer close(done)
			_, _ = s.dial(t, nil) // it has a deadline
		}()
		defer func() { close(release); <-done }()
		select {
		case <-slow:
		case <-time.After(patience):
			require.FailNow(t, "current was not asked", "a client came, and current was not asked for the certificate")
		}
		_, err := s.dial(t, nil)
		assert.NoError(t, err, "one handshake waits for current, and another one had to wait with it: hold no lock while current is asked")
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
	require.NotPanics(t, func() {
		config = tlsserver.Config(func() (*tls.Certificate, error) {
			a := s.answer.Load()
			if a.wait != nil {
				a.wait()
			}
			return a.cert, a.err
		})
	}, "Config must not panic, whatever current gives")
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
	if err := secured.Handshake(); err != nil {
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
	require.NoError(t, err, "%s must be served, and the handshake failed. The server's side says %q", who, s.why(err))
	return conn
}

// why is what the server's side says, once a client's handshake ended in err.
func (s *server) why(err error) string {
	if err == nil {
		return ""
	}
	select {
	case err := <-s.failed:
		return err.Error()
	case <-time.After(patience / 10):
		return "nothing"
	}
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
