package framing

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzGuard compares the guard with net/http: where the guard sees a request end,
// there it ends for net/http, if that takes it at all; and what the guard did not
// pass as a whole, net/http does not take as a whole.
func FuzzGuard(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nsoupGET / HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsoup\r\n0\r\nX: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nsoup\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\x00\x01",
		"POST / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\nContent-Length: 4\r\n b\r\n\r\n",
	} {
		f.Add([]byte(seed), uint8(7))
	}
	f.Fuzz(func(t *testing.T, sent []byte, piece uint8) {
		// Where requests end, by the guard.
		var s scanner
		var ends []int
		passed := 0
		for ; passed < len(sent) && s.fault == "" && s.state != raw; passed += s.scan(sent[passed : passed+1]) {
			if s.upgraded = false; passed > 0 && s.state == atMethod && s.count == 0 {
				ends = append(ends, passed)
			}
		}
		if s.fault == "" && s.state == atMethod && s.count == 0 && passed > 0 {
			ends = append(ends, passed)
		}
		upgrades := s.state == raw

		// What net/http reads must not depend on the pieces.
		out := through(t, sent, len(sent))
		require.Equal(t, out, through(t, sent, int(piece)%16+1), "in pieces")
		if !upgrades {
			want := bytes.Clone(sent[:passed])
			if s.fault != "" {
				want = append(want, poison...)
			}
			require.True(t, bytes.Equal(want, bytes.ReplaceAll(out, []byte(noMore), nil)) || bytes.Contains(sent, []byte(noMore)), "what passes, passes unchanged")
		}

		// Where they end, by net/http.
		src := bytes.NewReader(out)
		in := bufio.NewReader(src)
		added := 0
		for i := 0; ; i++ {
			r, err := http.ReadRequest(in)
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
			if err != nil {
				return // net/http closes the connection, at the latest when the body is over
			}
			if r.Close && r.ProtoMinor == 1 && len(r.Header["Upgrade"]) > 0 {
				added += len(noMore)
				if upgrades && i == len(ends) {
					return // so it does here
				}
			}
			require.Less(t, i, len(ends), "net/http has read a request that the guard has not seen: %q", out)
			require.Equal(t, ends[i], len(out)-src.Len()-in.Buffered()-added, "the end of request %d of %q", i, out)
		}
	})
}

// through is what can be read of sent behind a guard.
func through(t *testing.T, sent []byte, piece int) (out []byte) {
	g := Guard(&text{sent: sent}, nil)
	p := make([]byte, max(piece, 1))
	for {
		n, err := g.Read(p)
		out = append(out, p[:n]...)
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return out
		}
	}
}

// text is a connection from which sent can be read.
type text struct {
	net.Conn
	sent []byte
}

func (c *text) Read(p []byte) (int, error) {
	n := copy(p, c.sent)
	c.sent = c.sent[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func BenchmarkGuard(b *testing.B) {
	head := []byte("GET /menu?a=1 HTTP/1.1\r\nHost: shop.test:8443\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nCookie: table=4; session=0123456789abcdef0123456789abcdef\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n\r\n")
	body := append([]byte("POST /orders HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000000\r\n\r\n"), make([]byte, 1_000_000)...)
	for name, message := range map[string][]byte{"head of 450 octets": head, "body of 1 MB": body} {
		b.Run(name, func(b *testing.B) {
			conn := &text{}
			g := Guard(conn, nil)
			p := make([]byte, 4096)
			b.ReportAllocs()
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				for conn.sent = message; len(conn.sent) > 0; {
					if _, err := g.Read(p); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
