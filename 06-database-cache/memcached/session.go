package memcached

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	maxKey    = 250
	readSize  = 16 << 10 // of a connection's buffer
	maxLine   = 1 << 20  // of a get with very many keys; other lines are far shorter
	maxTokens = 23       // memcached looks at no more

	// framing is what an item has beside key, value and flags where memcached holds
	// the sum against its limit, on a machine of 64 bits.
	framing = 48 + 8 + len("\x00") + len("\r\n")
)

// The lines of the protocol.
const (
	stored     = "STORED"
	notStored  = "NOT_STORED"
	exists     = "EXISTS"
	notFound   = "NOT_FOUND"
	badCommand = "ERROR"
	badFormat  = "CLIENT_ERROR bad command line format"
	badExptime = "CLIENT_ERROR invalid exptime argument"
	badDelta   = "CLIENT_ERROR invalid numeric delta argument"
	badDelete  = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"
	badChunk   = "CLIENT_ERROR bad data chunk"
	nonNumeric = "CLIENT_ERROR cannot increment or decrement non-numeric value"
	outOfRoom  = "SERVER_ERROR object too large for cache"
	longLine   = "SERVER_ERROR out of memory reading request"
)

// errEnd is that a session is over by what the client sent.
var errEnd = errors.New("memcached: end of session")

// session is one connection: what a client sends, and the answers.
type session struct {
	srv  *Server
	conn net.Conn
	out  *bufio.Writer

	buf      []byte // what was received and not yet used is buf[r:w]
	r, w     int
	deadline time.Time // of the command that is being received; zero: none is

	noreply bool
	number  [20]byte // room to write numbers
}

func newSession(srv *Server, conn net.Conn) *session {
	s := &session{srv: srv, conn: conn, buf: make([]byte, readSize)}
	s.out = bufio.NewWriterSize(timedWriter{srv, conn}, readSize)
	return s
}

// timedWriter gives each write a deadline: a client that never reads would keep
// its connection, and a value, for ever.
type timedWriter struct {
	srv  *Server
	conn net.Conn
}

func (w timedWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.srv.c.WriteTimeout)); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(p)
	w.srv.bytesWritten.Add(uint64(n))
	return n, err
}

// serve answers until the client ends, is too slow, or sends what cannot be
// answered. What was answered by then is sent.
func (s *session) serve() {
	err := s.fill()
	if err == nil && s.buf[s.r] == magicRequest {
		err = s.refuseBinary()
	}
	for err == nil {
		var line []byte
		if line, err = s.line(); err == nil {
			s.noreply = false
			err = s.command(line)
		}
	}
	_ = s.out.Flush() // the client may be gone
}

// fill waits for more octets, and sends what was answered so far before it does.
func (s *session) fill() error {
	if s.out.Buffered() > 0 {
		if err := s.out.Flush(); err != nil {
			return err
		}
	}
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	if s.w == len(s.buf) {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	n, err := s.read(s.buf[s.w:])
	s.w += n
	return err
}

// read reads once, and no longer than the client may take.
func (s *session) read(p []byte) (int, error) {
	deadline := s.deadline
	if deadline.IsZero() {
		deadline = time.Now().Add(s.srv.c.IdleTimeout)
	}
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	if s.srv.isClosed() { // Close sets its deadline after that, so that one of the two is seen
		return 0, net.ErrClosed
	}
	n, err := s.conn.Read(p)
	s.srv.bytesRead.Add(uint64(n))
	if n > 0 {
		err = nil // and what failed fails again
		if s.deadline.IsZero() {
			s.deadline = time.Now().Add(s.srv.c.RequestTimeout)
		}
	}
	return n, err
}

// line returns the next line without its end. It is good until the next read.
func (s *session) line() ([]byte, error) {
	if s.r == s.w {
		s.deadline = time.Time{}
		if len(s.buf) > readSize {
			s.buf, s.r, s.w = make([]byte, readSize), 0, 0 // one long line does not make a long buffer for ever
		}
	} else {
		s.deadline = time.Now().Add(s.srv.c.RequestTimeout)
	}
	seen := 0
	for {
		have := s.buf[s.r:s.w]
		if i := bytes.IndexByte(have[seen:], '\n'); i >= 0 {
			line := have[:seen+i]
			s.r += len(line) + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		seen = len(have)
		// Only a get may be long. Whoever sends this much without a line's end is no
		// client, and memcached closes as well.
		if len(have) > 2048 {
			start := bytes.TrimLeft(have, " ")
			if len(have)-len(start) > 100 || !bytes.HasPrefix(start, []byte("get ")) && !bytes.HasPrefix(start, []byte("gets ")) {
				return nil, errEnd
			}
		}
		if len(have) == len(s.buf) {
			if len(have) >= maxLine {
				s.reply(longLine)
				return nil, errEnd
			}
			s.buf = append(make([]byte, 0, 2*len(have)), have...)[:2*len(have)]
			s.r, s.w = 0, len(have)
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// data returns the next n octets, in memory of their own. It takes memory as they
// arrive: a client that announces a mebibyte and stops costs no mebibyte.
func (s *session) data(n int) ([]byte, error) {
	have := min(n, s.w-s.r)
	all := append(make([]byte, 0, min(n, max(have, 4096))), s.buf[s.r:s.r+have]...)
	s.r += have
	for len(all) < n {
		if len(all) == cap(all) {
			more := make([]byte, len(all), min(n, 2*cap(all)))
			copy(more, all)
			all = more
		}
		if s.out.Buffered() > 0 {
			if err := s.out.Flush(); err != nil {
				return nil, err
			}
		}
		got, err := s.read(all[len(all):cap(all)])
		all = all[:len(all)+got]
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// swallow drops the next n octets.
func (s *session) swallow(n int) error {
	for {
		drop := min(n, s.w-s.r)
		s.r += drop
		if n -= drop; n == 0 {
			return nil
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}

// reply answers with a line. An error of writing stays in out, and comes up when
// it is sent.
func (s *session) reply(line string) {
	if !s.noreply {
		_, _ = s.out.WriteString(line)
		_, _ = s.out.WriteString("\r\n")
	}
}

// token cuts the first word off a line. Only a space divides words.
func token(line []byte) (word, rest []byte) {
	line = bytes.TrimLeft(line, " ")
	word, rest, _ = bytes.Cut(line, []byte(" "))
	return word, rest
}

// command does what one line asks for, and receives the data that belongs to it.
// It returns an error where the session is over.
func (s *session) command(line []byte) error {
	line, _, _ = bytes.Cut(line, []byte{0}) // for memcached, written in C, a line ends there
	var room [maxTokens][]byte
	args := room[:0]
	for rest := line; len(args) < maxTokens; {
		var word []byte
		if word, rest = token(rest); len(word) == 0 {
			break
		}
		args = append(args, word)
	}
	if len(args) == 0 {
		s.reply(badCommand)
		return nil
	}
	n := len(args)
	last := string(args[n-1])
	maybeNoreply := func() { s.noreply = last == "noreply" }

	switch name := string(args[0]); name {
	case "get", "gets", "gat", "gats":
		if n >= 2 {
			s.get(line, name)
			return nil
		}
	case "set", "add", "replace", "append", "prepend":
		if n == 5 || n == 6 {
			maybeNoreply()
			return s.store(verb(name), args)
		}
	case "cas":
		if n == 6 || n == 7 {
			maybeNoreply()
			return s.store(checkAndSet, args)
		}
	case "delete":
		if 2 <= n && n <= 4 {
			s.delete(args)
			return nil
		}
	case "incr", "decr":
		if n == 3 || n == 4 {
			maybeNoreply()
			s.reply(s.arithmetic(name == "incr", args[1], args[2]))
			return nil
		}
	case "touch":
		if n == 3 || n == 4 {
			maybeNoreply()
			s.reply(s.touch(args[1], args[2]))
			return nil
		}
	case "flush_all":
		if n <= 3 {
			maybeNoreply()
			s.reply(s.flushAll(args))
			return nil
		}
	case "verbosity":
		if n == 2 || n == 3 {
			maybeNoreply()
			if _, ok := parseUint(args[1], 32); !ok {
				s.reply(badFormat)
			} else {
				s.reply("OK")
			}
			return nil
		}
	case "stats":
		s.stats(args[1:])
		return nil
	case "version":
		s.reply("VERSION " + Version)
		return nil
	case "quit":
		return errEnd
	default:
		// A web page can make a browser send a form here, with commands in its body.
		if bytes.HasPrefix(args[n-1], []byte("HTTP/")) && bytes.IndexByte([]byte("acdgist"), name[0]) < 0 && len(name) > 1 {
			return errEnd
		}
	}
	s.reply(badCommand)
	return nil
}

// get answers to get, gets, gat and gats.
func (s *session) get(line []byte, name string) {
	_, rest := token(line)
	var touch *int32
	if name == "gat" || name == "gats" {
		var word []byte
		word, rest = token(rest)
		exptime, ok := parseInt(word)
		if !ok {
			s.reply(badExptime)
			return
		}
		touch = &exptime
	}
	// All keys are looked at first: an error cannot be told behind half an answer.
	for key, more := token(rest); len(key) > 0; key, more = token(more) {
		if len(key) > maxKey {
			s.reply(badFormat)
			return
		}
	}
	for key, more := token(rest); len(key) > 0; key, more = token(more) {
		it, ok := s.srv.cache.get(key, touch)
		if !ok {
			continue
		}
		_, _ = s.out.WriteString("VALUE ")
		_, _ = s.out.Write(key)
		s.writeNumber(uint64(it.flags))
		s.writeNumber(uint64(len(it.value)))
		if name == "gets" || name == "gats" {
			s.writeNumber(it.cas)
		}
		_, _ = s.out.WriteString("\r\n")
		_, _ = s.out.Write(it.value)
		_, _ = s.out.WriteString("\r\n")
	}
	s.reply("END")
}

func (s *session) writeNumber(n uint64) {
	_ = s.out.WriteByte(' ')
	_, _ = s.out.Write(strconv.AppendUint(s.number[:0], n, 10))
}

// fits says whether an item may be stored, by the sum that memcached makes.
func (s *session) fits(key, value int, flags uint32) bool {
	size := framing + key + value
	if flags != 0 {
		size += 4
	}
	return size <= s.srv.c.MaxItemSize
}

// store answers to the commands that bring a value.
func (s *session) store(v verb, args [][]byte) error {
	flags, ok1 := parseUint(args[2], 32)
	exptime, ok2 := parseInt(args[3])
	size, ok3 := parseInt(args[4])
	var cas uint64
	ok4 := true
	if v == checkAndSet {
		cas, ok4 = parseUint(args[5], 64)
	}
	if len(args[1]) > maxKey || !ok1 || !ok2 || !ok3 || !ok4 || size < 0 || size > maxAnnounced {
		s.reply(badFormat)
		return nil
	}
	key := bytes.Clone(args[1]) // the buffer is filled anew while the value arrives
	fits := func(n int) bool { return s.fits(len(key), n, uint32(flags)) }
	if !fits(int(size)) {
		s.srv.cache.tooLarge(v, key)
		if err := s.swallow(int(size) + 2); err != nil {
			return err
		}
		s.reply(outOfRoom)
		return nil
	}
	value, err := s.data(int(size) + 2)
	if err != nil {
		return err
	}
	value, ok := bytes.CutSuffix(value, []byte("\r\n"))
	if !ok {
		s.reply(badChunk)
		return nil
	}
	s.reply(s.srv.cache.store(v, key, uint32(flags), exptime, value, cas, fits))
	return nil
}

// maxAnnounced is the largest size that memcached takes for one.
const maxAnnounced = 1<<31 - 3

// delete answers to delete, which may have a time of 0 behind the key: it once
// meant something.
func (s *session) delete(args [][]byte) {
	if n := len(args); n > 2 {
		zero := string(args[2]) == "0"
		s.noreply = string(args[n-1]) == "noreply"
		if !(n == 3 && (zero || s.noreply)) && !(n == 4 && zero && s.noreply) {
			s.reply(badDelete)
			return
		}
	}
	switch {
	case len(args[1]) > maxKey:
		s.reply(badFormat)
	case s.srv.cache.delete(args[1]):
		s.reply("DELETED")
	default:
		s.reply(notFound)
	}
}

func (s *session) arithmetic(incr bool, key, by []byte) string {
	if len(key) > maxKey {
		return badFormat
	}
	delta, ok := parseUint(by, 64)
	if !ok {
		return badDelta
	}
	return s.srv.cache.count64(incr, key, delta)
}

func (s *session) touch(key, until []byte) string {
	if len(key) > maxKey {
		return badFormat
	}
	exptime, ok := parseInt(until)
	if !ok {
		return badExptime
	}
	if !s.srv.cache.touch(key, exptime) {
		return notFound
	}
	return "TOUCHED"
}

func (s *session) flushAll(args [][]byte) string {
	var exptime int32
	if plain := 1; len(args) != plain && !(s.noreply && len(args) == plain+1) {
		var ok bool
		if exptime, ok = parseInt(args[1]); !ok {
			return badExptime
		}
	}
	s.srv.cache.flush(exptime)
	return "OK"
}

const (
	magicRequest  = 0x80
	magicResponse = 0x81
	binaryHeader  = 24
	binaryUnknown = 0x81 // the status "unknown command"
)

// refuseBinary answers to the first request of the binary protocol in that same
// protocol, so that its client says what is wrong instead of waiting.
func (s *session) refuseBinary() error {
	request, err := s.data(binaryHeader)
	if err != nil {
		return err
	}
	if err := s.swallow(int(binary.BigEndian.Uint32(request[8:]))); err != nil {
		return err // a connection that is closed with something unread loses the answer
	}
	const text = "Unknown command"
	response := make([]byte, binaryHeader, binaryHeader+len(text))
	response[0], response[1] = magicResponse, request[1]
	binary.BigEndian.PutUint16(response[6:], binaryUnknown)
	binary.BigEndian.PutUint32(response[8:], uint32(len(text)))
	copy(response[12:16], request[12:16]) // "opaque", by which a client finds its request
	if _, err := s.out.Write(append(response, text...)); err != nil {
		return err
	}
	return io.EOF
}
