package framing

import "bytes"

// state is what a scanner expects.
type state uint8

const (
	atMethod  state = iota // the first octet of a request, or a further one of its method
	inTarget               // what the request is for
	inVersion              // HTTP/1.1 CR
	versionLF
	lineStart // a field line, or the empty one
	inName
	beforeValue
	inValue
	valueLF
	headLF  // the end of the head, or of the trailers
	inBody  // of a known length
	inSize  // of a chunk
	inExt   // a chunk extension
	sizeLF  // behind the size
	inChunk // its data
	chunkCR // behind its data
	chunkLF
	raw // no HTTP any more
)

// Fields that say how a message is framed, and Host and Upgrade.
type field uint8

const (
	other field = iota
	contentLength
	transferEncoding
	host
	upgrade
)

// scanner follows a stream of requests, octet by octet.
type scanner struct {
	state    state
	fault    string // why no more passes; "" if all is well
	upgraded bool   // the line of an Upgrade field has just ended

	// Of the message.
	seen    [5]bool // by field
	minor   byte    // '0' or '1', of the version
	length  int64   // of the body, or of what is left of it or of a chunk
	trailer bool    // the lines are those of a trailer

	// Of the line.
	count int // octets of the method, target, version, name, or size
	field field
	text  [32]byte // the beginning of the name or of the value
	size  int      // of text; more if it did not fit
}

// What an octet may be part of.
const (
	isToken  = 1 << iota // RFC 9110 §5.6.2
	isTarget             // visible ASCII
	isValue              // RFC 9110 §5.5: that, SP, HTAB and obs-text
	isExt                // visible ASCII, SP and HTAB
)

var class = func() (class [256]uint8) {
	for c := range 256 {
		if c > ' ' && c < 0x7f {
			class[c] |= isTarget | isValue | isExt
		}
		if c == ' ' || c == '\t' {
			class[c] |= isValue | isExt
		}
		if c >= 0x80 {
			class[c] |= isValue
		}
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0 {
			class[c] |= isToken
		}
	}
	return class
}()

const version = "HTTP/1."

// scan returns how many octets of p are good: all, unless there is a fault in the
// next one, or an Upgrade line has ended.
func (s *scanner) scan(p []byte) int {
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch s.state {
		case atMethod:
			switch {
			case class[c]&isToken != 0 && s.count < 32:
				s.count++
			case c == ' ' && s.count > 0:
				s.state, s.count = inTarget, 0
			default:
				return s.refuse(i, "method")
			}
		case inTarget:
			for i < len(p) && class[p[i]]&isTarget != 0 {
				i++
				s.count++
			}
			if i == len(p) {
				return i
			}
			if p[i] != ' ' || s.count == 0 {
				return s.refuse(i, "request target")
			}
			s.state, s.count = inVersion, 0
		case inVersion:
			switch {
			case s.count < len(version) && c == version[s.count]:
				s.count++
			case s.count == len(version) && (c == '0' || c == '1'):
				s.minor = c
				s.count++
			case s.count > len(version) && c == '\r':
				s.state = versionLF
			default:
				return s.refuse(i, "version, or more than two spaces in the request line, or a bare LF behind it")
			}
		case versionLF, valueLF, headLF, sizeLF, chunkLF:
			if c != '\n' {
				return s.refuse(i, "bare CR")
			}
			if fault := s.endLine(); fault != "" {
				return s.refuse(i, fault)
			}
			if s.upgraded {
				return i + 1
			}
		case lineStart:
			switch {
			case c == '\r':
				s.state = headLF
			case c == ' ' || c == '\t':
				return s.refuse(i, "folded line")
			case class[c]&isToken == 0:
				return s.refuse(i, "field name")
			default:
				s.state, s.size = inName, 0
				i-- // once more, as a part of the name
			}
		case inName:
			from := i
			for i < len(p) && class[p[i]]&isToken != 0 {
				i++
			}
			s.keep(p[from:i])
			if i == len(p) {
				return i
			}
			switch p[i] {
			case ':':
				if s.field = s.fieldOf(); s.trailer && s.field != other && s.field != upgrade {
					return s.refuse(i, "framing in a trailer")
				}
				s.state, s.size = beforeValue, 0
			default:
				return s.refuse(i, "field name, or a space before the colon")
			}
		case beforeValue:
			if c != ' ' && c != '\t' {
				s.state = inValue
				i-- // once more, as a part of the value
			}
		case inValue:
			from := i
			for i < len(p) && class[p[i]]&isValue != 0 {
				i++
			}
			if s.field != other {
				s.keep(p[from:i])
			}
			if i == len(p) {
				return i
			}
			if p[i] != '\r' {
				return s.refuse(i, "control character or bare LF in a field")
			}
			s.state = valueLF
		case inBody, inChunk:
			n := min(s.length, int64(len(p)-i))
			s.length -= n
			i += int(n) - 1
			if s.length == 0 {
				if s.state == inChunk {
					s.state = chunkCR
				} else {
					s.begin()
				}
			}
		case chunkCR:
			if c != '\r' {
				return s.refuse(i, "no CRLF behind a chunk")
			}
			s.state = chunkLF
		case inSize:
			digit := hex(c)
			switch {
			case digit >= 0 && s.count < 15:
				s.length = s.length<<4 | digit
				s.count++
			case digit < 0 && c == '\r' && s.count > 0:
				s.state = sizeLF
			case digit < 0 && c == ';' && s.count > 0:
				s.state = inExt
			default:
				return s.refuse(i, "chunk size")
			}
		case inExt:
			if c == '\r' {
				s.state = sizeLF
			} else if class[c]&isExt == 0 {
				return s.refuse(i, "chunk extension")
			}
		case raw:
			return len(p)
		}
	}
	return len(p)
}

// endLine is for the LF at a line's end. It returns what is wrong with the line,
// or with the head that it ends.
func (s *scanner) endLine() (fault string) {
	switch s.state {
	case versionLF:
		s.state = lineStart
	case valueLF:
		s.state = lineStart
		if !s.trailer {
			return s.endField()
		}
	case headLF:
		switch {
		case s.trailer:
			s.begin()
		case s.minor == '1' && !s.seen[host]:
			return "no Host"
		case s.seen[transferEncoding] && s.seen[contentLength]:
			return "both Transfer-Encoding and Content-Length"
		case s.seen[upgrade]:
			s.state = raw
		case s.seen[transferEncoding]:
			s.startChunk()
		case s.length > 0:
			s.state = inBody
		default:
			s.begin()
		}
	case sizeLF:
		if s.state = inChunk; s.length == 0 {
			s.state, s.trailer = lineStart, true
		}
	case chunkLF:
		s.startChunk()
	}
	return ""
}

// endField is for the end of a field line in a head.
func (s *scanner) endField() (fault string) {
	switch s.field {
	case other:
		return ""
	case upgrade:
		if s.minor == '1' && !s.seen[upgrade] { // in HTTP/1.0, "keep-alive" would win over the guard's "close"
			s.seen[upgrade], s.upgraded = true, true
		}
		return ""
	}
	value := bytes.TrimRight(s.kept(), " \t")
	if s.seen[s.field] {
		return "Host, Content-Length or Transfer-Encoding twice"
	}
	s.seen[s.field] = true
	switch s.field {
	case contentLength:
		if len(value) == 0 || len(value) > 18 || s.size > len(s.text) {
			return "Content-Length"
		}
		for _, c := range value {
			if c < '0' || c > '9' {
				return "Content-Length"
			}
			s.length = s.length*10 + int64(c-'0')
		}
	case transferEncoding:
		if s.minor == '0' || s.size > len(s.text) || !bytes.EqualFold(value, []byte("chunked")) {
			return "Transfer-Encoding"
		}
	}
	return ""
}

// begin is for the next request.
func (s *scanner) begin() { *s = scanner{} }

func (s *scanner) startChunk() { s.state, s.count, s.length = inSize, 0, 0 }

func (s *scanner) refuse(i int, fault string) int {
	s.fault = fault
	return i
}

// keep adds p to text, as far as it fits.
func (s *scanner) keep(p []byte) {
	if s.size < len(s.text) {
		copy(s.text[s.size:], p)
	}
	s.size += len(p)
}

// kept is text, or what of it was kept.
func (s *scanner) kept() []byte { return s.text[:min(s.size, len(s.text))] }

func (s *scanner) fieldOf() field {
	for f := contentLength; f <= upgrade; f++ {
		if s.size == len(names[f]) && bytes.EqualFold(s.kept(), names[f]) {
			return f
		}
	}
	return other
}

var names = [...][]byte{contentLength: []byte("Content-Length"), transferEncoding: []byte("Transfer-Encoding"), host: []byte("Host"), upgrade: []byte("Upgrade")}

func hex(c byte) int64 {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10
	}
	return -1
}
