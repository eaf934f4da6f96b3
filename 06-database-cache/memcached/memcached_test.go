package memcached_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/06-database-cache/memcached"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener whose connections are net.Pipe's, for bubbles.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return nil }

func (p *pipes) dial() *client {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return &client{ours, bufio.NewReader(ours)}
}

// client is a connection with nothing between a test and the octets.
type client struct {
	net.Conn
	in *bufio.Reader
}

// say sends text, and returns the lines of the answer up to one that ends it.
func (c *client) say(t *testing.T, text string) string {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, text)
		sent <- err
	}()
	var answer strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		answer.WriteString(line)
		require.NoError(t, err, "%.100q: %.100q", text, answer.String())
		if word := strings.Fields(line)[0]; word != "VALUE" && word != "STAT" && !strings.HasPrefix(word, "data") {
			require.NoError(t, <-sent)
			return answer.String()
		}
	}
}

// serve runs f in a bubble, with a server.
func serve(t *testing.T, c memcached.Config, f func(t *testing.T, s *memcached.Server, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := memcached.New(c)
		require.NoError(t, err)
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(p) }()
		defer func() {
			require.NoError(t, s.Close())
			require.Equal(t, memcached.ErrServerClosed, <-served)
		}()
		f(t, s, p)
	})
}

func TestTime(t *testing.T) {
	const month = 30 * 24 * time.Hour
	present, absent := "VALUE a 0 4\r\ndata\r\nEND\r\n", "END\r\n"
	for name, c := range map[string]struct {
		exptime func(now time.Time) int64
		lives   time.Duration
	}{
		"a second":             {func(time.Time) int64 { return 1 }, time.Second},
		"30 days":              {func(time.Time) int64 { return int64(month / time.Second) }, month},
		"until a date":         {func(now time.Time) int64 { return now.Add(100 * time.Hour).Unix() }, 100 * time.Hour},
		"until the last date":  {func(time.Time) int64 { return 1<<31 - 1 }, time.Unix(1<<31-1, 0).Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))},
		"30 days and a second": {func(time.Time) int64 { return int64(month/time.Second) + 1 }, 0},
		"less than nothing":    {func(time.Time) int64 { return -1 }, 0},
	} {
		for _, line := range []string{"set a 0 %d 4\r\ndata\r\n", "touch a %d\r\n", "gat %d a\r\n"} {
			word, _, _ := strings.Cut(line, " ")
			t.Run(word+" "+name, func(t *testing.T) {
				serve(t, memcached.Config{IdleTimeout: 100 * 365 * 24 * time.Hour}, func(t *testing.T, _ *memcached.Server, p *pipes) {
					w := p.dial()
					defer w.Close()
					w.say(t, "set a 0 0 4\r\ndata\r\n")
					w.say(t, fmt.Sprintf(line, c.exptime(time.Now())))
					if c.lives > 0 {
						time.Sleep(c.lives - time.Nanosecond)
						require.Equal(t, present, w.say(t, "get a\r\n"))
						time.Sleep(time.Nanosecond)
					}
					require.Equal(t, absent, w.say(t, "get a\r\n"))
				})
			})
		}
	}
	t.Run("flush_all later", func(t *testing.T) {
		serve(t, memcached.Config{}, func(t *testing.T, _ *memcached.Server, p *pipes) {
			w := p.dial()
			defer w.Close()
			require.Equal(t, "OK\r\n", w.say(t, "flush_all 10\r\n"))
			time.Sleep(10*time.Second - 1)
			w.say(t, "set a 0 0 4\r\ndata\r\n")
			require.Equal(t, present, w.say(t, "get a\r\n"))
			time.Sleep(1)
			require.Equal(t, absent, w.say(t, "get a\r\n"))
			w.say(t, "set a 0 0 4\r\ndata\r\n")
			time.Sleep(time.Minute)
			require.Equal(t, present, w.say(t, "get a\r\n"), "it happens once")

			w.say(t, "flush_all 10\r\n")
			w.say(t, "flush_all\r\n")
			w.say(t, "set a 0 0 4\r\ndata\r\n")
			time.Sleep(time.Minute)
			require.Equal(t, present, w.say(t, "get a\r\n"), "the second takes the first one's place")
		})
	})
	t.Run("flush_all of long ago", func(t *testing.T) {
		serve(t, memcached.Config{}, func(t *testing.T, _ *memcached.Server, p *pipes) {
			w := p.dial()
			defer w.Close()
			w.say(t, "set a 0 0 4\r\ndata\r\n")
			time.Sleep(1)
			require.Equal(t, "OK\r\n", w.say(t, "flush_all 2592001\r\n"))
			require.Equal(t, absent, w.say(t, "get a\r\n"))
		})
	})
}

func TestSlowClients(t *testing.T) {
	const idle, request, write = time.Minute, 4500 * time.Millisecond, 3 * time.Second
	c := memcached.Config{IdleTimeout: idle, RequestTimeout: request, WriteTimeout: write, MaxBytes: 4 << 20}
	// cutAfter says after how long f fails, which goes on with a connection.
	cutAfter := func(t *testing.T, want time.Duration, f func(w *client) error) {
		t.Helper()
		serve(t, c, func(t *testing.T, _ *memcached.Server, p *pipes) {
			other := p.dial()
			defer other.Close()
			value := strings.Repeat("v", 100<<10)
			other.say(t, fmt.Sprintf("set big 0 0 %d\r\n%s\r\n", len(value), value))
			w := p.dial()
			defer w.Close()
			began := time.Now()
			for f(w) == nil {
				require.Less(t, time.Since(began), 2*want+time.Second, "it is still there")
			}
			assert.Equal(t, want, time.Since(began))
			next := p.dial()
			defer next.Close()
			require.Equal(t, "END\r\n", next.say(t, "get a\r\n"), "others do not notice")
		})
	}
	octet := func(w *client) error {
		_, err := w.in.ReadByte()
		return err
	}
	drip := func(text string) func(w *client) error {
		return func(w *client) error {
			for {
				if _, err := io.WriteString(w, text[:1]); err != nil {
					return err
				}
				if text = text[1:]; text == "" {
					text = "x"
				}
				time.Sleep(time.Second)
			}
		}
	}
	t.Run("that say nothing are kept as long as a pool may keep them", func(t *testing.T) { cutAfter(t, idle, octet) })
	t.Run("that drip a line have one deadline for all of it", func(t *testing.T) {
		cutAfter(t, 5*time.Second, drip("get a"))
	})
	t.Run("that drip a value have one deadline for it and its line", func(t *testing.T) {
		cutAfter(t, 5*time.Second, drip("set a 0 0 99\r\n"))
	})
	t.Run("that drip what is too large as well", func(t *testing.T) {
		c.RequestTimeout = 29500 * time.Millisecond // the line alone takes 19 s
		defer func() { c.RequestTimeout = request }()
		cutAfter(t, 30*time.Second, drip("set a 0 0 9999999\r\n"))
	})
	t.Run("that do not read are cut", func(t *testing.T) {
		cutAfter(t, write, func(w *client) error {
			if _, err := io.WriteString(w, "get big\r\n"); err != nil {
				return err
			}
			time.Sleep(write)
			synctest.Wait()
			_, err := w.Write([]byte("x"))
			return err
		})
	})
	t.Run("that take their time between commands are fine", func(t *testing.T) {
		serve(t, c, func(t *testing.T, _ *memcached.Server, p *pipes) {
			w := p.dial()
			defer w.Close()
			for range 5 {
				time.Sleep(idle - time.Second)
				require.Equal(t, "END\r\n", w.say(t, "get a\r\n"))
			}
		})
	})
}

func TestConnections(t *testing.T) {
	t.Run("are bounded", func(t *testing.T) {
		serve(t, memcached.Config{MaxConns: 2}, func(t *testing.T, _ *memcached.Server, p *pipes) {
			a, b, c := p.dial(), p.dial(), p.dial()
			line, err := c.in.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "ERROR Too many open connections\r\n", line)
			_, err = c.in.ReadByte()
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, "END\r\n", a.say(t, "get a\r\n"))
			stats := b.say(t, "stats\r\n")
			for _, want := range []string{"curr_connections 2", "total_connections 3", "rejected_connections 1", "max_connections 2"} {
				require.Contains(t, stats, "STAT "+want+"\r\n")
			}
			require.NoError(t, a.Close())
			synctest.Wait()
			d := p.dial()
			require.Equal(t, "END\r\n", d.say(t, "get a\r\n"))
			require.NoError(t, d.Close())
			require.NoError(t, b.Close())
		})
	})
	t.Run("are refused at once even if the client does not read", func(t *testing.T) {
		serve(t, memcached.Config{MaxConns: 1}, func(t *testing.T, _ *memcached.Server, p *pipes) {
			a, deaf := p.dial(), p.dial()
			synctest.Wait()
			began := time.Now()
			require.NoError(t, a.Close())
			b := p.dial()
			require.Equal(t, "END\r\n", b.say(t, "get a\r\n"))
			require.LessOrEqual(t, time.Since(began), 100*time.Millisecond)
			require.NoError(t, deaf.Close())
			require.NoError(t, b.Close())
		})
	})
}

func TestClose(t *testing.T) {
	t.Run("cuts idle clients and those amid a command", func(t *testing.T) {
		serve(t, memcached.Config{}, func(t *testing.T, s *memcached.Server, p *pipes) {
			idle, amid := p.dial(), p.dial()
			_, err := io.WriteString(amid, "set a 0 0 9\r\nhalf")
			require.NoError(t, err)
			began := time.Now()
			require.NoError(t, s.Close())
			require.Zero(t, time.Since(began))
			for _, c := range []*client{idle, amid} {
				_, err := c.in.ReadByte()
				require.ErrorIs(t, err, io.EOF)
			}
		})
	})
	t.Run("waits for answers on their way, but not for ever", func(t *testing.T) {
		serve(t, memcached.Config{}, func(t *testing.T, s *memcached.Server, p *pipes) {
			slow, deaf := p.dial(), p.dial()
			for _, c := range []*client{slow, deaf} {
				_, err := io.WriteString(c, "version\r\n")
				require.NoError(t, err)
			}
			synctest.Wait()
			closed := make(chan time.Duration)
			began := time.Now()
			for range 2 {
				go func() {
					assert.NoError(t, s.Close())
					closed <- time.Since(began)
				}()
			}
			time.Sleep(500 * time.Millisecond)
			answer, err := io.ReadAll(slow.in)
			require.NoError(t, err)
			require.Equal(t, "VERSION "+memcached.Version+"\r\n", string(answer))
			require.Equal(t, time.Second, <-closed)
			require.Equal(t, time.Second, <-closed)
		})
	})
	t.Run("leaves nothing to serve", func(t *testing.T) {
		s, err := memcached.New(memcached.Config{})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		require.Equal(t, memcached.ErrServerClosed, s.Serve(p))
		_, err = p.Accept()
		require.ErrorIs(t, err, net.ErrClosed, "the listener is closed")
	})
	t.Run("is not needed to notice a listener that was closed", func(t *testing.T) {
		s, err := memcached.New(memcached.Config{})
		require.NoError(t, err)
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		require.NoError(t, p.Close())
		require.ErrorIs(t, s.Serve(p), net.ErrClosed)
	})
}

func TestBinaryProtocol(t *testing.T) {
	serve(t, memcached.Config{}, func(t *testing.T, _ *memcached.Server, p *pipes) {
		w := p.dial()
		defer w.Close()
		request, err := hex.DecodeString("80" + "00" + "0001" + "00" + "00" + "0000" + "00000001" + "0000abcd" + "0000000000000000" + "61") // get a
		require.NoError(t, err)
		go func() { _, _ = w.Write(request) }()
		answer, err := io.ReadAll(w.in)
		require.NoError(t, err, "and then the connection is closed")
		require.Equal(t, "81"+"00"+"0000"+"00"+"00"+"0081"+"0000000f"+"0000abcd"+"0000000000000000"+hex.EncodeToString([]byte("Unknown command")), hex.EncodeToString(answer))
	})
}

// TestLines are answers of Debian's memcached, 1.6.18, that other versions word in
// another way, so that they are not in the suite.
func TestLines(t *testing.T) {
	serve(t, memcached.Config{}, func(t *testing.T, _ *memcached.Server, p *pipes) {
		w := p.dial()
		defer w.Close()
		for _, exchange := range [][2]string{
			{"\r\n", "ERROR\r\n"},
			{"get\r\n", "ERROR\r\n"},
			{"set a 0 0\r\n", "ERROR\r\n"},
			{"flush_all 1 2 3\r\n", "ERROR\r\n"},
			{"mg a v\r\n", "ERROR\r\n"},
			{"  set a 0 0 4\r\ndata\r\n", "STORED\r\n"},
			{"delete a 1\r\n", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"},
			{"get a\x00b\r\n", "VALUE a 0 4\r\ndata\r\nEND\r\n"},
			{"version and more\r\n", "VERSION " + memcached.Version + "\r\n"},
		} {
			require.Equal(t, exchange[1], w.say(t, exchange[0]), "%q", exchange[0])
		}
	})
}

func TestLRU(t *testing.T) {
	has := func(t *testing.T, w *client) (keys string) {
		for key := range strings.SplitSeq("a b c d e f", " ") {
			if w.say(t, "gat 0 "+key+"\r\n") != "END\r\n" {
				keys += key
			}
		}
		return keys
	}
	size := func(value int) int64 { return int64(len("a") + value + memcached.Overhead) }
	room := memcached.Config{MaxBytes: 3 * size(4), MaxItemSize: 100}
	for name, use := range map[string]string{
		"get": "get a\r\n", "gat": "gat 0 a\r\n", "touch": "touch a 0\r\n", "set": "set a 0 0 4\r\ndata\r\n",
		"add in vain": "add a 0 0 4\r\ndata\r\n", "append": "append a 0 0 0\r\n\r\n",
	} {
		t.Run(name+" is a use", func(t *testing.T) {
			serve(t, room, func(t *testing.T, s *memcached.Server, p *pipes) {
				w := p.dial()
				defer w.Close()
				for key := range strings.SplitSeq("a b c", " ") {
					require.Equal(t, "STORED\r\n", w.say(t, "set "+key+" 0 0 4\r\ndata\r\n"))
				}
				w.say(t, use)
				w.say(t, "set d 0 0 4\r\ndata\r\n")
				require.Equal(t, "acd", has(t, w), "b was not used for the longest time")
				require.NoError(t, s.Check())
				stats := w.say(t, "stats\r\n")
				require.Contains(t, stats, fmt.Sprintf("STAT bytes %d\r\n", 3*size(4)))
				require.Contains(t, stats, "STAT evictions 1\r\n")
			})
		})
	}
	t.Run("a value that grows takes the room of others", func(t *testing.T) {
		serve(t, memcached.Config{MaxBytes: 560, MaxItemSize: 400}, func(t *testing.T, s *memcached.Server, p *pipes) {
			w := p.dial()
			defer w.Close()
			for key := range strings.SplitSeq("a b c", " ") {
				w.say(t, "set "+key+" 0 0 4\r\ndata\r\n")
			}
			require.Equal(t, "STORED\r\n", w.say(t, "append a 0 0 200\r\n"+strings.Repeat("x", 200)+"\r\n"))
			require.Equal(t, "ac", has(t, w))
			require.NoError(t, s.Check())
			require.Equal(t, "STORED\r\n", w.say(t, "set a 0 0 0\r\n\r\n"))
			require.NoError(t, s.Check())
			require.Contains(t, w.say(t, "stats\r\n"), fmt.Sprintf("STAT bytes %d\r\n", size(0)+size(4)))
		})
	})
	t.Run("what has expired is no eviction", func(t *testing.T) {
		serve(t, room, func(t *testing.T, s *memcached.Server, p *pipes) {
			w := p.dial()
			defer w.Close()
			w.say(t, "set a 0 1 4\r\ndata\r\n")
			time.Sleep(time.Second)
			for key := range strings.SplitSeq("b c d", " ") {
				w.say(t, "set "+key+" 0 0 4\r\ndata\r\n")
			}
			stats := w.say(t, "stats\r\n")
			require.Contains(t, stats, "STAT evictions 0\r\n")
			require.Contains(t, stats, "STAT reclaimed 1\r\n")
			require.Equal(t, "bcd", has(t, w))
		})
	})
	t.Run("a counter is padded as memcached does", func(t *testing.T) {
		serve(t, memcached.Config{}, func(t *testing.T, s *memcached.Server, p *pipes) {
			w := p.dial()
			defer w.Close()
			w.say(t, "set a 3 0 2\r\n10\r\n")
			require.Equal(t, "9\r\n", w.say(t, "decr a 1\r\n"))
			go func() { _, _ = io.WriteString(w, "get a\r\n") }()
			answer := make([]byte, len("VALUE a 3 2\r\n9 \r\nEND\r\n"))
			_, err := io.ReadFull(w.in, answer)
			require.NoError(t, err)
			require.Equal(t, "VALUE a 3 2\r\n9 \r\nEND\r\n", string(answer))
			require.Equal(t, "10\r\n", w.say(t, "incr a 1\r\n"))
		})
	})
}

// TestMemory holds Overhead against the truth.
func TestMemory(t *testing.T) {
	for _, size := range []int{1, 100, 1000, 10_000} {
		t.Run(fmt.Sprintf("values of %d octets", size), func(t *testing.T) {
			const room = 4 << 20
			s, err := memcached.New(memcached.Config{MaxBytes: room})
			require.NoError(t, err)
			before := heap()
			var lines bytes.Buffer
			for i := range 2 * room / (size + memcached.Overhead) {
				fmt.Fprintf(&lines, "set key-%08d 0 0 %d noreply\r\n%0*d\r\n", i, size, size, 0)
				if lines.Len() > 1<<20 {
					s.Session(&script{pieces: [][]byte{lines.Bytes()}})
					lines.Reset()
				}
			}
			lines = bytes.Buffer{}
			took := heap() - before
			require.NoError(t, s.Check())
			t.Logf("%.2f of MaxBytes", float64(took)/room)
			require.Less(t, took, int64(room*5/4), "MaxBytes is %d", room)
			runtime.KeepAlive(s)
		})
	}
	t.Run("announced is not taken", func(t *testing.T) {
		s, err := memcached.New(memcached.Config{})
		require.NoError(t, err)
		before := allocated()
		for range 100 {
			s.Session(&script{pieces: [][]byte{[]byte("set a 0 0 1000000\r\n"), []byte("half")}})
		}
		require.Less(t, allocated()-before, int64(100*64<<10), "a hundred clients who promise a megabyte each, and send four octets")
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func allocated() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

func TestNew(t *testing.T) {
	_, err := memcached.New(memcached.Config{MaxBytes: -1, MaxItemSize: -2, MaxConns: -3, IdleTimeout: -4, RequestTimeout: -5, WriteTimeout: -6})
	for _, part := range []string{"MaxBytes is -1", "MaxItemSize is -2", "MaxConns is -3", "IdleTimeout is -4ns", "RequestTimeout is -5ns", "WriteTimeout is -6ns"} {
		require.ErrorContains(t, err, part)
	}
	_, err = memcached.New(memcached.Config{MaxBytes: 1 << 20})
	require.EqualError(t, err, "memcached: MaxItemSize is 1048576, and with 160 octets of overhead more than MaxBytes, 1048576")
	_, err = memcached.New(memcached.Config{MaxBytes: 1<<20 + memcached.Overhead})
	require.NoError(t, err)
}
