package resolver_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/resolver"
	"clicktocode.example/01-dns-tcp-tls/solution/exchange"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

var shop = zone.MustParse(`
$ORIGIN shop.test.
@      300 SOA   ns hostmaster 1 3600 600 86400 60
@      300 A     192.0.2.1
@      300 A     192.0.2.2
@      300 AAAA  2001:db8::1
www    300 CNAME shop.test.
four   300 A     192.0.2.4
six    300 AAAA  2001:db8::6
text   300 TXT   "dinner"
brief    0 A     192.0.2.9
`)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		host string
		want []string
		err  error
	}{
		{"shop.test.", []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"}, nil},
		{"shop.test", []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"}, nil},
		{"WWW.shop.test", []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"}, nil},
		{"four.shop.test", []string{"192.0.2.4"}, nil},
		{"six.shop.test", []string{"2001:db8::6"}, nil},
		{"192.0.2.77", []string{"192.0.2.77"}, nil},
		{"2001:db8::77", []string{"2001:db8::77"}, nil},
		{"gone.shop.test", nil, dns.ErrNoSuchName},
		{"text.shop.test", nil, dns.ErrNoData},
		{"bank.test", nil, dns.ErrServerFailure}, // refused
		{"", nil, dns.ErrMalformed},
		{"shop..test", nil, dns.ErrMalformed},
	} {
		t.Run("finds_"+tt.host, func(t *testing.T) {
			s := listen(t)
			addrs, err := lookup(t, newResolver(t, s.addr), tt.host)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, tt.want, texts(addrs))
		})
	}

	t.Run("asks_for_both_kinds_once_and_remembers", func(t *testing.T) {
		s := listen(t)
		r := newResolver(t, s.addr)
		for range 3 {
			_, err := lookup(t, r, "shop.test")
			require.NoError(t, err)
			_, err = lookup(t, r, "gone.shop.test")
			require.ErrorIs(t, err, dns.ErrNoSuchName)
		}
		assert.ElementsMatch(t, []string{"shop.test. A", "shop.test. AAAA", "gone.shop.test. A", "gone.shop.test. AAAA"}, s.questions())
	})

	t.Run("asks_nobody_about_an_address", func(t *testing.T) {
		s := listen(t)
		_, err := lookup(t, newResolver(t, s.addr), "192.0.2.77")
		require.NoError(t, err)
		assert.Empty(t, s.questions())
	})

	t.Run("goes_on_where_a_server_is_of_no_use", func(t *testing.T) {
		for name, bad := range map[string]netip.AddrPort{
			"nobody listens":  nobody,
			"silent":          fake(t, func([]byte) []byte { return nil }),
			"SERVFAIL":        fake(t, func(q []byte) []byte { q[2], q[3] = 0x81, 0x82; return q }),
			"REFUSED":         fake(t, func(q []byte) []byte { q[2], q[3] = 0x81, 0x85; return q }),
			"malformed":       fake(t, func(q []byte) []byte { q[2], q[7] = 0x81, 1; return q }),
			"TC, and no TCP":  fake(t, func(q []byte) []byte { q[2] = 0x83; return q }),
			"spoofs and fine": fake(t, func(q []byte) []byte { q[0], q[2] = q[0]+1, 0x81; return q }),
		} {
			good := listen(t)
			addrs, err := lookup(t, impatient(t, bad, good.addr), "four.shop.test")
			require.NoError(t, err, "the first server: %s", name)
			assert.Equal(t, []string{"192.0.2.4"}, texts(addrs), "the first server: %s", name)
			assert.NotEmpty(t, good.questions(), "the first server: %s", name)
		}
	})

	t.Run("takes_a_no_for_an_answer", func(t *testing.T) {
		first, second := listen(t), listen(t)
		r := newResolver(t, first.addr, second.addr)
		_, err := lookup(t, r, "gone.shop.test")
		require.ErrorIs(t, err, dns.ErrNoSuchName)
		_, err = lookup(t, r, "text.shop.test")
		require.ErrorIs(t, err, dns.ErrNoData)
		assert.Len(t, first.questions(), 4)
		assert.Empty(t, second.questions())
	})

	t.Run("tries_again_when_a_datagram_was_lost", func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]int{}
		server := fake(t, func(q []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if seen[string(q[12:])]++; seen[string(q[12:])] == 1 {
				return nil
			}
			reply, _ := shop.Reply(q)
			return reply
		})
		addrs, err := lookup(t, impatient(t, server), "four.shop.test")
		require.NoError(t, err)
		assert.Equal(t, []string{"192.0.2.4"}, texts(addrs))
	})

	t.Run("uses_another_ID_and_port_each_time", func(t *testing.T) {
		ids, ports := map[uint16]bool{}, map[uint16]bool{}
		conn := udp(t)
		stop := serve(conn, func(q []byte, from netip.AddrPort) []byte {
			ids[uint16(q[0])<<8|uint16(q[1])], ports[from.Port()] = true, true
			reply, _ := shop.Reply(q)
			return reply
		})
		t.Cleanup(stop)
		r := newResolver(t, conn.LocalAddr().(*net.UDPAddr).AddrPort())
		for range 20 {
			_, err := lookup(t, r, "brief.shop.test") // TTL 0
			require.NoError(t, err)
		}
		stop()
		assert.Greater(t, len(ids), 15, "of 21 IDs by chance, hardly any two are the same (RFC 5452 §9.2)")
		assert.Greater(t, len(ports), 1, "each attempt has a port of its own")
	})

	t.Run("says_what_each_server_did", func(t *testing.T) {
		refuses, fails := fake(t, func(q []byte) []byte { q[2], q[3] = 0x81, 0x85; return q }), nobody
		_, err := lookup(t, newResolver(t, refuses, fails), "shop.test")
		require.ErrorIs(t, err, dns.ErrServerFailure)
		assert.ErrorContains(t, err, refuses.String())
		assert.ErrorContains(t, err, fails.String())
	})

	t.Run("knows_what_it_does_not_know", func(t *testing.T) {
		for _, failing := range []byte{byte(dns.TypeA), byte(dns.TypeAAAA)} {
			server := fake(t, func(q []byte) []byte {
				if q[len(q)-3] == failing {
					q[2], q[3] = 0x81, 0x82 // SERVFAIL
					return q
				}
				reply, _ := shop.Reply(q)
				return reply
			})
			_, err := lookup(t, newResolver(t, server), "text.shop.test")
			assert.ErrorIs(t, err, dns.ErrServerFailure, "type %d failed, of the other there is no record", failing)
			assert.NotErrorIs(t, err, dns.ErrNoData)
			_, err = lookup(t, newResolver(t, server), "gone.shop.test")
			assert.ErrorIs(t, err, dns.ErrNoSuchName, "type %d failed, and the name does not exist", failing)
			addrs, err := lookup(t, newResolver(t, server), "shop.test")
			assert.NoError(t, err)
			assert.NotEmpty(t, addrs, "type %d failed, the other has addresses", failing)
		}
	})

	t.Run("ends_with_its_context", func(t *testing.T) {
		asked := make(chan struct{}, 100)
		r := newResolver(t, fake(t, func([]byte) []byte { asked <- struct{}{}; return nil }))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, err := r.Lookup(ctx, "shop.test")
			done <- err
		}()
		<-asked
		cancel()
		select {
		case err := <-done:
			require.ErrorIs(t, err, context.Canceled)
		case <-time.After(2 * time.Second):
			require.Fail(t, "no end")
		}
	})

	t.Run("serves_many_at_once", func(t *testing.T) {
		s := listen(t)
		r := newResolver(t, s.addr)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				addrs, err := r.Lookup(t.Context(), "shop.test")
				assert.NoError(t, err)
				assert.Len(t, addrs, 3)
				clear(addrs) // the slice is the caller's
			})
		}
		wg.Wait()
		assert.Len(t, s.questions(), 2)
	})
}

func TestNew(t *testing.T) {
	_, err := resolver.New(resolver.Config{
		Servers:  []netip.AddrPort{{}, netip.MustParseAddrPort("127.0.0.1:0")},
		Attempts: -1,
		Timeout:  exchange.Timeout + 1,
	})
	require.Error(t, err)
	for _, fault := range []string{"server 0", "server 1", "-1 attempts", "timeout"} {
		assert.ErrorContains(t, err, fault, "all faults are named at once")
	}
	_, err = resolver.New(resolver.Config{})
	assert.ErrorContains(t, err, "no servers")
}

// newResolver asks servers, as it does unless it is told otherwise.
func newResolver(t *testing.T, servers ...netip.AddrPort) *resolver.Resolver {
	t.Helper()
	return configured(t, resolver.Config{Servers: servers})
}

// impatient asks servers that may be silent.
func impatient(t *testing.T, servers ...netip.AddrPort) *resolver.Resolver {
	t.Helper()
	return configured(t, resolver.Config{Servers: servers, Attempts: 5, Timeout: 100 * time.Millisecond})
}

func configured(t *testing.T, config resolver.Config) *resolver.Resolver {
	t.Helper()
	r, err := resolver.New(config)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func lookup(t *testing.T, r *resolver.Resolver, host string) ([]netip.Addr, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return r.Lookup(ctx, host)
}

func texts(addrs []netip.Addr) (all []string) {
	for _, addr := range addrs {
		all = append(all, addr.String())
	}
	return all
}

// server is a real one, that remembers what it was asked.
type server struct {
	addr  netip.AddrPort
	mu    sync.Mutex
	asked []string
}

func listen(t *testing.T) *server {
	t.Helper()
	s := &server{}
	z, err := zone.Listen("127.0.0.1:0", shop, func(q zone.Query) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, q.Question)
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, z.Close()) })
	s.addr = netip.MustParseAddrPort(z.Addr())
	return s
}

func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// fake is a server that sends what reply makes of a query, or nothing if that is nil.
func fake(t *testing.T, reply func(query []byte) []byte) netip.AddrPort {
	t.Helper()
	conn := udp(t)
	t.Cleanup(serve(conn, func(query []byte, _ netip.AddrPort) []byte { return reply(query) }))
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// serve answers until stop is called, which waits for it.
func serve(conn *net.UDPConn, reply func(query []byte, from netip.AddrPort) []byte) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // Windows reports here that a client has left
			}
			if msg := reply(buf[:n], from); msg != nil {
				_, _ = conn.WriteToUDPAddrPort(msg, from)
			}
		}
	}()
	return func() {
		conn.Close()
		<-done
	}
}

// nobody is an address where nobody listens: a free port may be another test's
// a moment later, this one is not given to those who ask for any.
var nobody = netip.MustParseAddrPort("127.0.0.1:1")

func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	require.NoError(t, err)
	return conn
}
