package memcached_test

import (
	"bytes"
	"flag"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/mctest"
	"clicktocode.example/06-database-cache/memcached"
)

var againstReal = flag.Bool("real", false, "FuzzProtocol: hold every answer against an installed memcached's")

// script is a client without a network: what it sends, in pieces, and what it hears.
// A piece is taken only after the answer to the former ones has been written.
type script struct {
	pieces [][]byte
	sent   [][]byte       // those that were taken
	heard  []bytes.Buffer // behind each of sent
	rest   []byte         // of the last of them
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		if len(s.pieces) == 0 {
			return 0, io.EOF
		}
		s.rest = s.pieces[0]
		if bytes.ContainsRune(s.rest, '@') {
			s.rest = bytes.ReplaceAll(s.rest, []byte("@"), s.cas())
		}
		s.pieces = s.pieces[1:]
		s.sent = append(s.sent, s.rest)
		s.heard = append(s.heard, bytes.Buffer{})
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) { return s.heard[len(s.heard)-1].Write(p) }

var withCAS = regexp.MustCompile(`VALUE \S+ \d+ \d+ (\d+)\r\n`)

// cas is the last number for cas that was heard.
func (s *script) cas() []byte {
	for i := len(s.heard) - 1; i >= 0; i-- {
		if all := withCAS.FindAllSubmatch(s.heard[i].Bytes(), -1); all != nil {
			return all[len(all)-1][1]
		}
	}
	return []byte("1")
}

func (s *script) all() string {
	var all bytes.Buffer
	for i := range s.heard {
		all.Write(s.heard[i].Bytes())
	}
	return all.String()
}

func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return nil }
func (*script) RemoteAddr() net.Addr             { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// FuzzProtocol feeds a session with anything. It has to end, within its bounds, and
// may not depend on how the octets arrive. In the input, @ stands for the last
// number for cas that was heard.
//
// With -real, each answer is also compared with memcached's:
//
//	go test ./memcached -run '^$' -fuzz FuzzProtocol -fuzztime 2m -fuzzminimizetime 10x -real
func FuzzProtocol(f *testing.F) {
	for _, seed := range []string{
		"set a 1 0 2\r\n10\r\ngets a b\r\ncas a 2 0 1 @\r\n9\r\ncas a 2 0 1 @\r\n8\r\ngets a\r\n",
		"set a 0 0 3\r\n100\r\ndecr a 1\r\nget a\r\nincr a 901\r\nget a\r\ngat -1 a\r\nget a\r\n",
		"add a 0 -1 1\r\nx\r\nadd a 0 0 1\r\ny\r\nappend a 0 0 1\r\nz\r\nprepend a 0 0 1\r\n-\r\nreplace a 7 0 0\r\n\r\ngats 0 a\r\n",
		"touch a 0\r\nset a 0 2592001 1 noreply\r\nx\r\ndelete a 0 noreply\r\ndelete a 1\r\nflush_all\r\nflush_all noreply\r\nquit\r\n",
		"set a 0 0 5\r\nab\r\ncdef\r\nset a 0 0 -1\r\nget\r\n\r\n \x00get a\r\nincr a +1\t\r\nGET / HTTP/1.1\r\n",
		"set a 0 0 1048450\r\n" + strings.Repeat("a", 100) + "\r\nget a\r\n",
		"set a 0 0 99999999\r\nset b 0 0 1\r\nx\r\nget a b\r\n",
		"get " + strings.Repeat("k", 251) + "\r\nget a " + strings.Repeat("b ", 30) + "\r\nverbosity 1\r\nversion\r\nstats items\r\n",
		"\x80\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00a",
	} {
		f.Add([]byte(seed), false)
	}
	f.Add([]byte("\x02\x15\x00\x1b\x1b\x1e\x24\x1e\x24"), true)
	var real string
	if *againstReal {
		real = mctest.Open(f, backing.MemcachedConfig{NoEmbedded: true})
	}
	f.Fuzz(func(t *testing.T, input []byte, words bool) {
		if words {
			input = spell(input)
		}
		whole, _ := run(t, memcached.Config{MaxBytes: 6000, MaxItemSize: 2000}, [][]byte{input}, 0)
		if !longLine(input) && !bytes.ContainsRune(input, '@') && !bytes.Contains(input, []byte("stats")) {
			octets, _ := run(t, memcached.Config{MaxBytes: 6000, MaxItemSize: 2000}, split(input, 1), 0)
			require.Equal(t, whole.all(), octets.all(), "what arrives octet by octet is answered as if it had come at once: %q", input)
		}
		if real != "" && comparable(input) {
			compare(t, real, input)
		}
	})
}

// vocabulary is what most lines are made of.
var vocabulary = []string{
	"get ", "gets ", "set ", "add ", "replace ", "append ", "prepend ", "cas ", "gat ", "gats ", "delete ", "incr ", "decr ", "touch ", "flush_all",
	"set a 0 0 2\r\n10\r\n", "set b 5 0 3\r\nabc\r\n", "gets a b\r\n", "get a\r\n", "cas a 1 0 1 @\r\n7\r\n", "append a 0 0 1\r\n5\r\n", "incr a 1\r\n", "decr a 95\r\n",
	"a ", "b ", "a", "b", "0 ", "1 ", "2 ", "-1 ", "100 ", "0", "1", "2", "5", "@", " ", "\r\n", "\n", "\r", "\x00", "x", "noreply", "noreply\r\n", "-", "+", "\t",
	"18446744073709551615", "2592001 ", "quit\r\n", "HTTP/1.1\r\n", "0 0 1\r\nx\r\n", "0 0 2\r\n99\r\n", "0 0 4\r\n99  \r\n",
}

// spell makes lines of input: each octet is a word.
func spell(input []byte) (spelt []byte) {
	for _, b := range input {
		spelt = append(spelt, vocabulary[int(b)%len(vocabulary)]...)
	}
	return spelt
}

func run(t *testing.T, c memcached.Config, pieces [][]byte, cas uint64) (*script, bool) {
	s, err := memcached.New(c)
	require.NoError(t, err)
	s.SetCAS(cas)
	client := &script{pieces: pieces}
	buffer := s.Session(client)
	require.LessOrEqual(t, buffer, 2*memcached.MaxLine)
	require.NoError(t, s.Check())
	return client, len(client.pieces)+len(client.rest) > 0
}

func split(input []byte, size int) (pieces [][]byte) {
	input = bytes.Clone(input)
	for ; len(input) > size; input = input[size:] {
		pieces = append(pieces, input[:size:size])
	}
	return append(pieces, input)
}

func longLine(input []byte) bool {
	for line := range bytes.Lines(input) {
		if len(line) > 2000 {
			return true
		}
	}
	return false
}

// others are commands that the embedded server has not, or answers to in its own way.
var others = regexp.MustCompile(`(?m)^\x00* *(m.|stats|shutdown|slabs|lru\w*|watch|cache_memlimit|bget|extstore|verbosity|refresh_certs|flush_all  *[^n\s].*|version)[ \r\n\x00]`)

// wide are numbers of more than 32 bits: this memcached cuts bits off, newer ones refuse.
var wide = regexp.MustCompile(`(?m)^ *(set|add|replace|append|prepend|cas|touch|gats?|flush_all) .*\d{10}`)

// comparable says whether memcached has to answer the same.
func comparable(input []byte) bool {
	return !longLine(input) && len(input) > 0 && input[0] != 0x80 && !others.Match(append(input, '\n')) && !wide.Match(input)
}

// compare sends input, line by line, to the server at addr as well. Each line is
// sent after the answer to the former: memcached may answer otherwise while it has
// not sent what it had to say.
func compare(t *testing.T, addr string, input []byte) {
	var fault string
	for range 3 { // a tick of its clock may come in between
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		fault = difference(t, conn, input)
		_ = conn.Close()
		if fault == "" {
			return
		}
		t.Logf("not the same, this time: %s", fault)
	}
	t.Fatal(fault)
}

func difference(t *testing.T, conn net.Conn, input []byte) string {
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	hear := func(n int) string {
		got := make([]byte, n)
		read, _ := io.ReadFull(conn, got)
		return string(got[:read])
	}
	const probe = "flush_all\r\nset probe 0 0 0\r\n\r\ndelete probe\r\nset probe 0 0 0\r\n\r\ngets probe\r\n"
	_, err := io.WriteString(conn, probe)
	require.NoError(t, err)
	var got string
	for !strings.HasSuffix(got, "END\r\n") {
		more := hear(1)
		require.Len(t, more, 1, "%q", got)
		got += more
	}
	cas := withCAS.FindStringSubmatch(got)
	require.NotNil(t, cas, "%q", got)
	_, _ = io.WriteString(conn, "delete probe\r\n")
	hear(len("DELETED\r\n"))

	var pieces [][]byte
	for line := range bytes.Lines(input) {
		pieces = append(pieces, bytes.Clone(line))
	}
	last, err := strconv.ParseUint(cas[1], 10, 64)
	require.NoError(t, err)
	ours, ended := run(t, memcached.Config{}, pieces, last)
	var want string
	for i, piece := range ours.sent {
		_, _ = conn.Write(piece)
		want += ours.heard[i].String()
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		got := hear(len(want))
		if !strings.HasPrefix(want, got) {
			return "sent:\n" + listed(ours.sent[:i+1]) + "memcached answers " + strconv.Quote(got) + ", the embedded server " + strconv.Quote(want)
		}
		want = want[len(got):] // memcached says nothing while it waits for a value
	}
	if !ended {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	rest, err := io.ReadAll(conn)
	if err != nil && os.IsTimeout(err) || len(rest) > 0 && string(rest) != want || string(rest) != want && ended {
		return "sent:\n" + listed(ours.sent) + "memcached goes on with " + strconv.Quote(string(rest)) + ", the embedded server with " + strconv.Quote(want) + " and ends"
	}
	return ""
}

func listed(pieces [][]byte) string {
	var all strings.Builder
	for _, piece := range pieces {
		all.WriteString(strconv.Quote(string(piece)) + "\n")
	}
	return all.String()
}
