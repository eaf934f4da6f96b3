package exchange_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/message"
	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/solution/exchange"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

// What the servers below answer from. The addresses of many.shop.test. fill
// more than the 512 octets that a datagram may have.
var shop = zone.MustParse(`
$ORIGIN shop.test.
@ 300 SOA  ns hostmaster 1 3600 600 86400 60
@ 300 A    192.0.2.1
` + strings.Join(each(60, func(i int) string { return fmt.Sprintf("many 300 A 192.0.2.%d\n", i) }), ""))

func TestExchange(t *testing.T) {
	t.Run("brings_the_reply_back", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "shop.test.")
		m := exchanged(t, realServer(t), q)
		require.Equal(t, 1, len(m.Answers), "how many records were returned: the server (a real one, github.com/miekg/dns) knows one A record of shop.test.")
		assert.Equal(t, "192.0.2.1", m.Answers[0].Addr.String(), "that record's address, in what Exchange returned")
	})

	t.Run("sends_the_query_in_one_datagram", func(t *testing.T) {
		t.Parallel()
		got := make(chan []byte, 10)
		q := query(t, 7, "shop.test.")
		exchanged(t, serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
			got <- query
			send(conn, genuine(query), from)
		}, nil), q)
		assert.Equal(t, fmt.Sprintf("% x", query(t, 7, "shop.test.")), fmt.Sprintf("% x", <-got), "what the server received is the query as it was given, and nothing else: RFC 1035 §4.2.1")
		assert.Equal(t, 0, len(got), "how many further datagrams the server received: one attempt sends one")
	})

	t.Run("passes_over_a_reply_with_another_ID", func(t *testing.T) {
		t.Parallel()
		q := query(t, 12345, "shop.test.")
		m := exchanged(t, serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
			spoof := forged(query)
			spoof[0], spoof[1] = 0x11, 0x11
			for range 20 {
				send(conn, spoof, from)
			}
			send(conn, genuine(query), from)
		}, nil), q)
		assert.Equal(t, uint16(12345), m.ID,
			"asked with the ID 12345, twenty replies with the ID 4369 came first, then the right one: the others are somebody's guess, and believing them is spoofing (RFC 5452 §9.1)")
		assert.Equal(t, "192.0.2.1", first(m), "the address is the right reply's, not the spoofed one's")
	})

	for _, tt := range []struct {
		name, what string
		wrong      func(query []byte) []byte
	}{
		{"passes_over_a_reply_to_another_question", "a reply to the question bank.test. IN A, with the right ID",
			func(query []byte) []byte {
				return []byte(strings.ReplaceAll(string(forged(query)), "\x04shop", "\x04bank"))
			}},
		{"passes_over_what_is_no_reply", "the query itself, sent back",
			func(query []byte) []byte { return query }},
		{"passes_over_a_truncated_reply_to_another_question", "a reply to the question bank.test. IN A, with TC set, and nobody to ask by TCP,",
			func(query []byte) []byte {
				spoof := []byte(strings.ReplaceAll(string(forged(query)), "\x04shop", "\x04bank"))
				if len(spoof) > 2 {
					spoof[2] |= 0x02
				}
				return spoof
			}},
		{"passes_over_noise", "three octets of noise",
			func([]byte) []byte { return []byte("\x00\x07\x80") }},
		{"passes_over_an_empty_datagram", "an empty datagram",
			func([]byte) []byte { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := query(t, 7, "shop.test.")
			m := exchanged(t, serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
				send(conn, tt.wrong(query), from)
				send(conn, genuine(query), from)
			}, nil), q)
			assert.True(t, m.Response && len(m.Questions) == 1 && m.Questions[0].Name == "shop.test.",
				"%s came first, then the right reply. Returned was the message %+v; anyone can send a datagram, and only a response to this question counts: RFC 5452 §9.1", tt.what, m)
			assert.Equal(t, "192.0.2.1", first(m), "%s came first, then the right reply", tt.what)
		})
	}

	t.Run("passes_over_datagrams_from_elsewhere", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "shop.test.")
		m := exchanged(t, serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
			stranger, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err == nil {
				send(stranger, forged(query), from)
				stranger.Close()
			}
			send(conn, genuine(query), from)
		}, nil), q)
		assert.Equal(t, "192.0.2.1", first(m),
			"the first datagram, right in all else, came from another port than the server's: a connected socket does not even show it (RFC 5452 §9.1)")
	})

	t.Run("asks_once_whatever_comes_back", func(t *testing.T) {
		t.Parallel()
		more := make(chan int, 10)
		m := exchanged(t, serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
			send(conn, []byte("noise"), from)
			// Whoever asks again after noise does so now.
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			if n, _, err := conn.ReadFromUDPAddrPort(make([]byte, 512)); err == nil {
				more <- n
			}
			_ = conn.SetReadDeadline(time.Time{})
			send(conn, genuine(query), from)
		}, nil), query(t, 7, "shop.test."))
		assert.Equal(t, "192.0.2.1", first(m), "noise came first, then the right reply")
		assert.Equal(t, 0, len(more), "how many further datagrams the server received, after it had sent noise: one attempt sends one, whatever comes back. Is the Write inside the loop?")
	})

	t.Run("reads_a_long_datagram_whole", func(t *testing.T) {
		t.Parallel()
		got := wait(t, start(t.Context(), serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
			send(conn, genuine(query), from)
		}, nil), query(t, 7, "many.shop.test.")), "the server answers in one long datagram")
		require.NoError(t, got.err, "the server answers in one long datagram")
		assert.Equal(t, 992, len(got.reply), "how many octets were returned. The server sent 992 in one datagram, without TC: what does not fit the buffer of a Read is lost without a word")
	})

	t.Run("gives_each_caller_a_reply_of_its_own", func(t *testing.T) {
		t.Parallel()
		server := realServer(t)
		first := wait(t, start(t.Context(), server, query(t, 12345, "shop.test.")), "the server answers")
		require.NoError(t, first.err, "the server answers")
		before := bytes.Clone(first.reply)
		require.NotEmpty(t, before, "the server answered, and nothing was returned")
		for id := range uint16(5) {
			exchanged(t, server, query(t, id, "shop.test."))
		}
		assert.Equal(t, fmt.Sprintf("% x", before), fmt.Sprintf("% x", first.reply), "the reply to the first of six queries, after the others: it is the caller's, so no later call may write into it")
	})

	t.Run("ends_with_the_deadline_of_its_context", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "shop.test.")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		got := wait(t, start(ctx, serve(t, nil, nil), q), "the server is silent, and the context ended after 50 ms")
		isTimeout(t, got)
		assert.Less(t, got.took, exchange.Timeout*3/4, "the server is silent, and the context ended after 50 ms: it counts when it is sooner than Timeout")
	})

	t.Run("ends_at_once_when_its_context_is_cancelled", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "shop.test.")
		asked := make(chan struct{}, 1)
		server := serve(t, func(*net.UDPConn, []byte, netip.AddrPort) { asked <- struct{}{} }, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		running := start(ctx, server, q)
		var got outcome
		select {
		case <-asked:
			cancel()
			at := time.Now()
			got = wait(t, running, "the context was cancelled while it waited for a silent server")
			assert.Less(t, time.Since(at), exchange.Timeout*3/4, "cancelled means at once: whoever waits for this has left")
		case got = <-running: // without asking
			if got.fault != "" {
				require.Fail(t, got.fault, "Exchange panicked")
			}
		case <-time.After(2 * time.Second):
			require.FailNow(t, "no query", "2 s after the call, the server has not been asked")
		}
		require.ErrorIs(t, got.err, context.Canceled, "the context was cancelled while it waited for a silent server; it returned %d octets", len(got.reply))
		got = wait(t, start(ctx, server, q), "its context had ended before the call")
		require.ErrorIs(t, got.err, context.Canceled, "the context had ended before the call")
	})

	t.Run("ends_without_any_deadline_of_the_caller", func(t *testing.T) {
		t.Parallel()
		got := wait(t, start(context.WithoutCancel(t.Context()), serve(t, nil, nil), query(t, 7, "shop.test.")),
			"the server is silent, and the context has no deadline: a datagram may be lost, so every wait needs an end (Timeout)")
		isTimeout(t, got)
		assert.Greater(t, got.took, exchange.Timeout/2, "it gave up after %s, and the server has until Timeout, %s", got.took, exchange.Timeout)
	})

	t.Run("fails_where_nobody_listens", func(t *testing.T) {
		t.Parallel()
		server := netip.MustParseAddrPort("127.0.0.1:1") // a port that is not given to those who ask for any
		got := wait(t, start(t.Context(), server, query(t, 7, "shop.test.")), "nobody listens there")
		require.Error(t, got.err, "nobody listens there, so there is no reply")
		assert.Less(t, got.took, exchange.Timeout*3/4, "nobody listens there, and the system says so at the first Read: an error of the network is returned, waiting on does not help. It says: %v", got.err)
	})

	t.Run("asks_again_by_TCP_when_the_reply_is_truncated", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "many.shop.test.")
		m := exchanged(t, realServer(t), q)
		assert.False(t, m.Truncated, "the reply that was returned has TC set. TC (bit 0x02 of the third octet) says that there is more than fits the datagram: ask again by TCP (RFC 7766 §5)")
		assert.Equal(t, 60, len(m.Answers), "how many addresses of many.shop.test. were returned. It has 60; the datagram held some of them, TCP brings all")
	})

	t.Run("returns_a_TCP_reply_that_is_truncated_too", func(t *testing.T) {
		t.Parallel()
		var conns atomic.Int32
		m := exchanged(t, serve(t, truncate, func(conn net.Conn) {
			conns.Add(1)
			reply := genuine(readFrame(conn))
			reply[2] |= 0x02
			_, _ = conn.Write(frame(reply))
		}), query(t, 7, "many.shop.test."))
		assert.True(t, m.Truncated, "by TCP, too, the server set TC: the reply is returned as it is")
		assert.Equal(t, int32(1), conns.Load(), "TCP connections. There is nothing left to ask by when the reply by TCP has TC set")
	})

	t.Run("sends_the_query_behind_its_length", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "many.shop.test.")
		q = append(make([]byte, 0, 200), q...)
		got := make(chan []byte, 1)
		exchanged(t, serve(t, truncate, func(conn net.Conn) {
			query := readFrame(conn)
			got <- query
			_, _ = conn.Write(frame(genuine(query)))
		}), q)
		want := fmt.Sprintf("% x", query(t, 7, "many.shop.test."))
		assert.Equal(t, want, fmt.Sprintf("% x", receive(t, got)), "by TCP, two octets with the query's length (high octet first) stand before the query: RFC 1035 §4.2.2")
		assert.Equal(t, want, fmt.Sprintf("% x", q), "the caller's query is not changed")
	})

	t.Run("reads_a_TCP_reply_that_comes_in_pieces", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "many.shop.test.")
		returned := make(chan struct{})
		server := serve(t, truncate, func(conn net.Conn) {
			reply := frame(genuine(readFrame(conn)))
			// Whoever takes the first piece for the whole has returned before the next one is sent.
			for _, piece := range [][]byte{reply[:1], reply[1:2], reply[2:3], reply[3:20], reply[20:]} {
				if _, err := conn.Write(piece); err != nil {
					return
				}
				select {
				case <-returned:
				case <-time.After(40 * time.Millisecond):
				}
			}
		})
		got := wait(t, start(t.Context(), server, q), "the reply came by TCP in five pieces")
		close(returned)
		require.NoError(t, got.err, "the reply came by TCP in five pieces: a stream has no message boundaries, one Read brings what is there, if it is a single octet. Read until all of it has come (io.ReadFull)")
		m, err := message.Parse(got.reply)
		require.NoError(t, err, "the reply came by TCP in five pieces, and %d octets of it were returned: one Read is not one message. Read until all of it has come (io.ReadFull)", len(got.reply))
		assert.Equal(t, 60, len(m.Answers), "how many addresses of many.shop.test. were returned: it has 60")
	})

	t.Run("refuses_a_TCP_reply_to_another_query", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "many.shop.test.")
		for what, change := range map[string]func(reply []byte) []byte{
			"another ID":       func(reply []byte) []byte { reply[1]++; return reply },
			"another question": func(reply []byte) []byte { reply[13] = 'M' + 1; return reply },
			"QR not set":       func(reply []byte) []byte { reply[2] &^= 0x80; return reply },
			"a length of zero": func([]byte) []byte { return nil },
			"no third octet":   func(reply []byte) []byte { return reply[:2] },
		} {
			got := wait(t, start(t.Context(), serve(t, truncate, func(conn net.Conn) {
				reply := genuine(readFrame(conn))
				_, _ = conn.Write(frame(change(reply)))
			}), q), "the message by TCP has "+what)
			require.ErrorIs(t, got.err, dns.ErrMismatch, "the message by TCP has %s: it is not the reply to this query", what)
		}
	})

	t.Run("fails_when_a_TCP_reply_ends_early", func(t *testing.T) {
		t.Parallel()
		q := query(t, 7, "many.shop.test.")
		for _, n := range []int{0, 1, 2, 40} {
			got := wait(t, start(t.Context(), serve(t, truncate, func(conn net.Conn) {
				_, _ = conn.Write(frame(genuine(readFrame(conn)))[:n])
			}), q), "the server closed the connection early")
			require.Error(t, got.err, "by TCP the server sent %d octets of length and reply, and closed: %d octets were returned as if all had come", n, len(got.reply))
		}
	})

	t.Run("ends_when_a_TCP_server_is_silent", func(t *testing.T) {
		t.Parallel()
		done := make(chan struct{})
		defer close(done)
		server := serve(t, truncate, func(conn net.Conn) {
			_, _ = conn.Write([]byte{0}) // half a length
			<-done
		})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		got := wait(t, start(ctx, server, query(t, 7, "many.shop.test.")), "by TCP the server sent one octet and no more, and the context ended after 100 ms")
		isTimeout(t, got)
		assert.Less(t, got.took, exchange.Timeout*3/4, "by TCP the server sent one octet and no more: the context's deadline counts there too")
	})

	t.Run("has_one_Timeout_for_UDP_and_TCP", func(t *testing.T) {
		t.Parallel()
		done := make(chan struct{})
		defer close(done)
		server := serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
			select {
			case <-time.After(exchange.Timeout * 3 / 4):
				truncate(conn, query, from)
			case <-done:
			}
		}, func(net.Conn) { <-done })
		got := wait(t, start(context.WithoutCancel(t.Context()), server, query(t, 7, "many.shop.test.")), "by UDP the server took three quarters of Timeout to say that the reply does not fit, and by TCP it is silent")
		isTimeout(t, got)
		assert.Less(t, got.took, exchange.Timeout*3/2, "by UDP the server took three quarters of Timeout, and by TCP it is silent: the attempt takes Timeout at most, %s, TCP included", exchange.Timeout)
	})

	t.Run("serves_many_at_once", func(t *testing.T) {
		t.Parallel()
		server := realServer(t)
		var running []<-chan outcome
		for id := range uint16(50) {
			running = append(running, start(t.Context(), server, query(t, id, "shop.test.")))
		}
		for id, r := range running {
			got := wait(t, r, "50 callers at once")
			require.NoError(t, got.err, "50 callers at once, and the server answers each")
			m, err := message.Parse(got.reply)
			require.NoError(t, err)
			assert.Equal(t, uint16(id), m.ID, "of 50 callers at once, each gets the reply to its own query")
		}
	})
}

func TestLeftovers(t *testing.T) {
	// A connection that was forgotten is closed when its memory is collected, if ever.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))

	t.Run("closes_the_connection", func(t *testing.T) {
		for _, tt := range []struct {
			what  string
			reply func(query []byte) []byte
			want  error
		}{
			{"the reply came", genuine, nil},
			{"a message came that is not the reply", func(query []byte) []byte { return query }, dns.ErrMismatch},
		} {
			ended := make(chan error, 1)
			got := wait(t, start(t.Context(), serve(t, truncate, func(conn net.Conn) {
				_, _ = conn.Write(frame(tt.reply(readFrame(conn))))
				_ = conn.SetReadDeadline(time.Now().Add(time.Second))
				_, err := conn.Read(make([]byte, 1))
				ended <- err
			}), query(t, 7, "many.shop.test.")), "by TCP "+tt.what)
			require.ErrorIs(t, got.err, tt.want, "by TCP %s", tt.what)
			err := receive(t, ended)
			var netErr net.Error
			require.False(t, errors.As(err, &netErr) && netErr.Timeout(), "by TCP %s. A second after Exchange returned, its connection is still open: whoever opens it closes it, on every way out", tt.what)
		}
	})

	t.Run("closes_the_socket_of_its_datagrams", func(t *testing.T) {
		for _, silent := range []bool{false, true} {
			what := map[bool]string{false: "the server answered", true: "the server was silent, and the context ended"}[silent]
			// Somebody else may be given the port that was left: rarely once, hardly thrice.
			closed := false
			for range 3 {
				asked := make(chan netip.AddrPort, 1)
				ctx, cancel := context.WithCancel(t.Context())
				running := start(ctx, serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) {
					asked <- from
					if silent {
						cancel()
					} else {
						send(conn, genuine(query), from)
					}
				}, nil), query(t, 7, "shop.test."))
				got := wait(t, running, what)
				cancel()
				require.Equal(t, silent, got.err != nil, "%s. Exchange's error: %v", what, got.err)
				conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(receive(t, asked)))
				if closed = err == nil; closed {
					conn.Close()
					break
				}
			}
			require.True(t, closed, "%s. Exchange has returned, and the port that it asked from is still taken: whoever opens a connection closes it, one by UDP too. Otherwise a program that runs for days has no sockets left", what)
		}
	})

	t.Run("leaves_no_goroutine_behind", func(t *testing.T) {
		server := serve(t, func(conn *net.UDPConn, query []byte, from netip.AddrPort) { send(conn, genuine(query), from) }, nil)
		q := query(t, 7, "shop.test.")
		before := goleak.IgnoreCurrent()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got := wait(t, start(ctx, server, q), "the server answers")
		require.NoError(t, got.err)
		require.NotEmpty(t, got.reply, "the server answered, and nothing was returned")
		assert.NoError(t, goleak.Find(before), "Exchange has returned, and what it started still runs. A caller's context may live as long as the program: nothing may wait for its end")
	})
}

// outcome is what a call came to.
type outcome struct {
	reply []byte
	err   error
	fault string // what it panicked with
	took  time.Duration
}

// start calls Exchange, and sends what it comes to.
func start(ctx context.Context, server netip.AddrPort, query []byte) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		var got outcome
		began := time.Now()
		got.fault = panics.In(func() { got.reply, got.err = exchange.Exchange(ctx, server, query) })
		got.took = time.Since(began)
		done <- got
	}()
	return done
}

// wait is the outcome, which must not be long in coming.
func wait(t *testing.T, running <-chan outcome, what string) outcome {
	t.Helper()
	select {
	case got := <-running:
		if got.fault != "" {
			require.Fail(t, got.fault, "%s: Exchange panicked", what)
		}
		return got
	case <-time.After(exchange.Timeout + time.Second):
		require.FailNow(t, "no end", "%s; Exchange still waits a second after Timeout. No deadline was set, or it was ignored", what)
		return outcome{}
	}
}

// exchanged is the reply, read, where there must be one.
func exchanged(t *testing.T, server netip.AddrPort, query []byte) dns.Message {
	t.Helper()
	got := wait(t, start(t.Context(), server, query), "the server answers")
	require.NoError(t, got.err, "the right reply comes, if not first: whatever comes before it is passed over, and the wait goes on")
	require.NotEmpty(t, got.reply, "the server answered, and nothing was returned: write the query to a UDP connection, and read the reply")
	m, err := message.Parse(got.reply)
	require.NoError(t, err, "what was returned is not the server's reply: % x", got.reply)
	return m
}

// isTimeout checks that the outcome says that the time was up.
func isTimeout(t *testing.T, got outcome) {
	t.Helper()
	var netErr net.Error
	require.ErrorAs(t, got.err, &netErr, "the server is silent; returned were %d octets, wanted is an error whose Timeout method says true", len(got.reply))
	assert.True(t, netErr.Timeout(), "the server is silent; the error %q does not say that the time was up", got.err)
}

// realServer is a server that serves the zone above.
func realServer(t *testing.T) netip.AddrPort {
	t.Helper()
	s, err := zone.Listen("127.0.0.1:0", shop, nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return netip.MustParseAddrPort(s.Addr())
}

// serve plays a server: udp is called for each datagram, tcp for each
// connection, which is closed behind it. One that is nil says nothing. Nothing
// is left when the test ends.
func serve(t *testing.T, udp func(conn *net.UDPConn, query []byte, from netip.AddrPort), tcp func(net.Conn)) netip.AddrPort {
	t.Helper()
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	conn, ln := listen(t)
	t.Cleanup(func() {
		conn.Close()
		ln.Close()
	})
	running.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && udp != nil { // Windows reports here that a client has left
				udp(conn, bytes.Clone(buf[:n]), from)
			}
		}
	})
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(2 * time.Second))
				if tcp != nil {
					tcp(c)
				}
			})
		}
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// listen takes a port that is free for both networks.
func listen(t *testing.T) (*net.UDPConn, net.Listener) {
	t.Helper()
	for range 20 {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
		require.NoError(t, err)
		ln, err := net.Listen("tcp", conn.LocalAddr().String())
		if err == nil {
			return conn, ln
		}
		conn.Close()
	}
	require.FailNow(t, "no port", "of 20 ports that were free for UDP, none was free for TCP")
	return nil, nil
}

// send sends a datagram. If it cannot, the client's wait shows it.
func send(conn *net.UDPConn, msg []byte, to netip.AddrPort) {
	_, _ = conn.WriteToUDPAddrPort(msg, to)
}

// truncate answers by UDP that the reply does not fit.
func truncate(conn *net.UDPConn, query []byte, from netip.AddrPort) {
	if len(query) > 2 {
		query[2] |= 0x82 // QR and TC
	}
	send(conn, query, from)
}

// genuine is the zone's reply to query; zeros, which are no reply, when what
// was sent cannot be read.
func genuine(query []byte) []byte {
	reply, err := shop.Reply(query)
	if err != nil {
		return make([]byte, 64)
	}
	return reply
}

// forged is a reply to query with a false address.
func forged(query []byte) []byte {
	reply := genuine(query)
	copy(reply[len(reply)-4:], []byte{203, 0, 113, 66})
	return reply
}

// first is the first address in m.
func first(m dns.Message) string {
	if len(m.Answers) == 0 {
		return "none"
	}
	return m.Answers[0].Addr.String()
}

// readFrame reads one message from a stream, nil when there is none.
func readFrame(conn net.Conn) []byte {
	var length [2]byte
	_, err := io.ReadFull(conn, length[:])
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	if err == nil {
		_, err = io.ReadFull(conn, msg)
	}
	if err != nil {
		return nil
	}
	return msg
}

// frame is msg as it stands in a stream.
func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// receive takes what comes out of c soon.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(2 * time.Second):
		require.FailNow(t, "nothing came", "the server was not asked, or by TCP not in full: two octets of length, then the query")
		panic("unreachable")
	}
}

func query(t *testing.T, id uint16, name string) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	msg, err := m.Pack()
	require.NoError(t, err)
	return msg
}

func each(n int, f func(int) string) (all []string) {
	for i := range n {
		all = append(all, f(i))
	}
	return all
}
