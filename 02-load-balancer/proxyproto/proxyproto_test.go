package proxyproto_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/proxyproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const signature = "\r\n\r\n\x00\r\nQUIT\n"

func header(source, destination string) proxyproto.Header {
	return proxyproto.Header{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination)}
}

var (
	four  = header("192.0.2.7:51000", "198.51.100.1:443")
	six   = header("[2001:db8::7]:51000", "[2001:db8::1]:443")
	four2 = signature + "\x21\x11\x00\x0C\xC0\x00\x02\x07\xC6\x33\x64\x01\xC7\x38\x01\xBB"
	six2  = signature + "\x21\x21\x00\x24" +
		"\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\xC7\x38\x01\xBB"
)

func TestAppend(t *testing.T) {
	for _, row := range []struct {
		is     string
		h      proxyproto.Header
		v1, v2 string
	}{
		{"TCP over IPv4", four, "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n", four2},
		{"TCP over IPv6", six, "PROXY TCP6 2001:db8::7 2001:db8::1 51000 443\r\n", six2},
		{"nothing", proxyproto.Header{}, "PROXY UNKNOWN\r\n", signature + "\x20\x00\x00\x00"},
		{"half", proxyproto.Header{Source: four.Source}, "PROXY UNKNOWN\r\n", signature + "\x20\x00\x00\x00"},
		{"IPv4 as IPv6 writes it", header("[::ffff:192.0.2.7]:51000", "[::ffff:198.51.100.1]:443"), "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n", four2},
		{"a zone", header("[2001:db8::7%eth0]:51000", "[2001:db8::1]:443"), "PROXY TCP6 2001:db8::7 2001:db8::1 51000 443\r\n", six2},
		{"both families", header("192.0.2.7:51000", "[2001:db8::1]:443"), "PROXY TCP6 ::ffff:c000:207 2001:db8::1 51000 443\r\n",
			strings.Replace(six2, "\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xC0\x00\x02\x07", 1)},
	} {
		t.Run(row.is, func(t *testing.T) {
			assert.Equal(t, "before "+row.v1, string(row.h.AppendV1([]byte("before "))))
			assert.Equal(t, "before "+row.v2, string(row.h.AppendV2([]byte("before "))))
		})
	}
}

func TestRead(t *testing.T) {
	longest := "PROXY UNKNOWN " + strings.Repeat("f", 107-16) + "\r\n"
	for _, row := range []struct {
		is, in string
		want   proxyproto.Header
	}{
		{"v1 TCP4", "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n", four},
		{"v1 TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 51000 443\r\n", six},
		{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", proxyproto.Header{}},
		{"v1 the longest line", longest, proxyproto.Header{}},
		{"v2 TCP4", four2, four},
		{"v2 TCP6", six2, six},
		{"v2 LOCAL", signature + "\x20\x00\x00\x00", proxyproto.Header{}},
		{"v2 LOCAL with addresses", strings.Replace(four2, "\x21\x11", "\x20\x11", 1), proxyproto.Header{}},
		{"v2 PROXY of no family", signature + "\x21\x00\x00\x03abc", proxyproto.Header{}},
		{"v2 UDP", strings.Replace(four2, "\x21\x11", "\x21\x12", 1), proxyproto.Header{}},
		{"v2 with extensions", strings.Replace(four2, "\x00\x0C", "\x00\x15", 1) + "\xEE\x00\x03abc" + "\x04\x00\x00", four},
	} {
		t.Run(row.is, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(row.in + "GET"), iotest.OneByteReader(strings.NewReader(row.in + "GET"))} {
				r := bufio.NewReader(in)
				h, err := proxyproto.Read(r)
				require.NoError(t, err)
				assert.Equal(t, row.want, h)
				rest, err := io.ReadAll(r)
				require.NoError(t, err)
				assert.Equal(t, "GET", string(rest), "what follows the header is left")
			}
			for n := range row.in {
				_, err := proxyproto.Read(bufio.NewReader(strings.NewReader(row.in[:n])))
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%q", row.in[:n])
			}
		})
	}

	for is, in := range map[string]string{
		"HTTP":                       "GET / HTTP/1.1\r\n",
		"TLS":                        "\x16\x03\x01",
		"almost v1":                  "PROXX",
		"a POST":                     "PO",
		"almost v2":                  "\r\n\r\n\x00\r\nQUIX",
		"v1 a line that is too long": "PROXY UNKNOWN " + strings.Repeat("f", 108-14),
		"v1 no CR":                   "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\n",
		"v1 two spaces":              "PROXY TCP4  192.0.2.7 198.51.100.1 51000 443\r\n",
		"v1 one field more":          "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443 1\r\n",
		"v1 the other family":        "PROXY TCP4 2001:db8::7 2001:db8::1 51000 443\r\n",
		"v1 IPv4 called TCP6":        "PROXY TCP6 192.0.2.7 198.51.100.1 51000 443\r\n",
		"v1 a zone":                  "PROXY TCP6 2001:db8::7%eth0 2001:db8::1 51000 443\r\n",
		"v1 a port too large":        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
		"v1 a port with a zero":      "PROXY TCP4 192.0.2.7 198.51.100.1 51000 0443\r\n",
		"v1 a port with a sign":      "PROXY TCP4 192.0.2.7 198.51.100.1 51000 +443\r\n",
		"v1 no family":               "PROXY UDP4 192.0.2.7 198.51.100.1 51000 443\r\n",
		"v2 version 1":               signature + "\x11\x11\x00\x00",
		"v2 a third command":         signature + "\x22\x11\x00\x00",
		"v2 too long":                signature + "\x21\x11\x10\x01",
		"v2 too short":               signature + "\x21\x11\x00\x0B01234567890",
		"v2 an extension cut off":    strings.Replace(four2, "\x00\x0C", "\x00\x11", 1) + "\xEE\x00\x03ab",
		"v2 half an extension":       strings.Replace(four2, "\x00\x0C", "\x00\x0E", 1) + "\xEE\x00",
	} {
		t.Run(is+" is refused", func(t *testing.T) {
			_, err := proxyproto.Read(bufio.NewReader(io.MultiReader(strings.NewReader(in), iotest.ErrReader(errors.New("waits for more")))))
			assert.ErrorIs(t, err, proxyproto.ErrHeader, "%q must be refused without waiting for more", in)
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{four2, six2, string(four.AppendV1(nil)), string(six.AppendV1(nil)), "PROXY UNKNOWN\r\n", signature + "\x20\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(in), 16))
		if err != nil {
			require.Zero(t, h)
			return
		}
		want := h
		if h.Source.IsValid() { // a pair of IPv4 addresses, as IPv6 writes them, is written as IPv4
			if s, d := h.Source.Addr().Unmap(), h.Destination.Addr().Unmap(); s.Is4() && d.Is4() {
				want = proxyproto.Header{Source: netip.AddrPortFrom(s, h.Source.Port()), Destination: netip.AddrPortFrom(d, h.Destination.Port())}
			}
		}
		for _, text := range [][]byte{h.AppendV1(nil), h.AppendV2(nil)} {
			again, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(text)))
			require.NoError(t, err, "%q", text)
			require.Equal(t, want, again, "%q", text)
		}
	})
}

func TestListen(t *testing.T) {
	t.Run("takes_the_header_off", func(t *testing.T) {
		client, conn := accepted(t, time.Minute)
		go client.Write(append(four.AppendV2(nil), "one soup"...))
		assert.Equal(t, "192.0.2.7:51000", conn.RemoteAddr().String())
		assert.Equal(t, "198.51.100.1:443", conn.LocalAddr().String())
		text := make([]byte, 8)
		_, err := io.ReadFull(conn, text)
		require.NoError(t, err)
		assert.Equal(t, "one soup", string(text))
		require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
		_, err = client.Read(text)
		assert.ErrorIs(t, err, io.EOF)
	})

	t.Run("leaves_the_addresses_where_the_header_says_nothing", func(t *testing.T) {
		client, conn := accepted(t, time.Minute)
		go client.Write(proxyproto.Header{}.AppendV1(nil))
		assert.Equal(t, client.LocalAddr().String(), conn.RemoteAddr().String())
		assert.Equal(t, client.RemoteAddr().String(), conn.LocalAddr().String())
	})

	t.Run("refuses_a_connection_without_one", func(t *testing.T) {
		client, conn := accepted(t, time.Minute)
		go client.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		_, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, proxyproto.ErrHeader)
		assert.Equal(t, client.LocalAddr().String(), conn.RemoteAddr().String())
		_, err = client.Read(make([]byte, 1))
		assert.Error(t, err, "it is closed")
	})

	t.Run("does_not_wait_for_ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, conn := inMemory(t, 5*time.Second)
			require.NoError(t, conn.SetDeadline(time.Now().Add(time.Hour))) // does not put it off
			began := time.Now()
			_, err := conn.Read(make([]byte, 1))
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			assert.Equal(t, 5*time.Second, time.Since(began))
		})
	})

	t.Run("counts_from_when_it_was_accepted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, conn := inMemory(t, 5*time.Second)
			time.Sleep(3 * time.Second)
			began := time.Now()
			conn.RemoteAddr()
			assert.Equal(t, 2*time.Second, time.Since(began))
		})
	})

	t.Run("keeps_the_owners_deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, conn := inMemory(t, 5*time.Second)
			began := time.Now()
			require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			go client.Write(four.AppendV1(nil))
			assert.Equal(t, "192.0.2.7:51000", conn.RemoteAddr().String())
			_, err := conn.Read(make([]byte, 1))
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			assert.Equal(t, 20*time.Second, time.Since(began), "the header's is over with the header")
			require.NoError(t, conn.SetDeadline(time.Time{}))
			go func() {
				time.Sleep(time.Hour)
				client.Write([]byte("x"))
			}()
			_, err = conn.Read(make([]byte, 1))
			assert.NoError(t, err, "it can be lifted")
		})
	})

	t.Run("takes_an_earlier_deadline_of_the_owner", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, conn := inMemory(t, 5*time.Second)
			began := time.Now()
			require.NoError(t, conn.SetReadDeadline(began.Add(time.Second)))
			_, err := conn.Read(make([]byte, 1))
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(began))
		})
	})

	t.Run("needs_a_timeout", func(t *testing.T) {
		_, err := proxyproto.Listen(nil, 0)
		assert.ErrorContains(t, err, "positive")
	})
}

// accepted is a connection, as its client sees it and as the listener does.
func accepted(t *testing.T, timeout time.Duration) (client, conn net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln, err := proxyproto.Listen(inner, timeout)
	require.NoError(t, err)
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	conn, err = ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return client, conn
}

// inMemory is accepted over net.Pipe, for synctest.
func inMemory(t *testing.T, timeout time.Duration) (client, conn net.Conn) {
	client, server := net.Pipe()
	ln, err := proxyproto.Listen(one{conn: server}, timeout)
	require.NoError(t, err)
	conn, err = ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		client.Close()
		conn.Close()
	})
	return client, conn
}

// one is a listener that accepts one connection.
type one struct {
	net.Listener
	conn net.Conn
}

func (o one) Accept() (net.Conn, error) { return o.conn, nil }
