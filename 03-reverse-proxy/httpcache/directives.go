package httpcache

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Directives are those of Cache-Control, or of a field like it: a name in lower
// case, and its argument without quotes, empty where there is none. Of one that
// is there twice, the first counts (RFC 9111 §4.2.1), except that no-cache and
// private hold for all that any of them names. nil has none.
//
// One whose argument cannot be read is there all the same, with "?" for an
// argument, which is neither a number nor a field's name: a fault in a header
// must not make a response more cacheable than its author wanted.
type Directives map[string]string

// MaxSeconds is what a number of seconds counts as that is larger: 68 years
// (RFC 9111 §1.2.2). A sum of four such durations does not overflow.
const MaxSeconds = (1 << 31) * time.Second

// ParseDirectives reads the lines of a Cache-Control field, of a request or a
// response (RFC 9111 §5.2). A quoted argument is as good as a bare one; around
// the = there may be no space. What has no name is left out, up to the next comma.
func ParseDirectives(lines []string) Directives {
	d := Directives{}
	for _, line := range lines {
		for line != "" {
			name, arg, rest := directive(line)
			line = rest
			was, there := d[name]
			switch {
			case name == "":
			case !there:
				d[name] = arg
			case name != "no-cache" && name != "private": // the first counts
			case was == "" || arg == "":
				d[name] = "" // one of them is about the whole response
			default:
				d[name] = was + "," + arg
			}
		}
	}
	return d
}

// ResponseDirectives are those that a shared cache follows in a response's
// header h: of CDN-Cache-Control, the field that is for caches like this one
// alone, where that is there and can be read, and otherwise of Cache-Control.
// [Directives.Targeted] tells which.
//
// CDN-Cache-Control is a Dictionary (RFC 9651 §3.2), and that is stricter than
// Cache-Control: names are in lower case, a number has no quotes, and of two the
// last counts. With one fault, or one directive of a wrong type, such as
// max-age="60", or with no directive in it, the field is as good as absent.
func ResponseDirectives(h http.Header) Directives {
	if lines := h.Values("CDN-Cache-Control"); lines != nil {
		if d, ok := dictionary(strings.Join(lines, ", ")); ok && len(d) > 0 {
			d[targeted] = ""
			return d
		}
	}
	return ParseDirectives(h.Values("Cache-Control"))
}

// targeted marks directives of a targeted field. It can be no directive's name.
const targeted = ""

// Targeted reports whether d is what [ResponseDirectives] found in a field that
// is for caches like this one. Nothing but d counts then: Cache-Control and
// Expires are to be ignored (RFC 9213 §2.2).
func (d Directives) Targeted() bool { return d.Has(targeted) }

// Has reports whether the directive is there, with an argument or without.
func (d Directives) Has(name string) bool { _, ok := d[name]; return ok }

// Seconds is a directive's argument as a duration. ok is false where the
// directive is absent, or its argument is no number of seconds; see [ParseSeconds].
func (d Directives) Seconds(name string) (s time.Duration, ok bool) {
	return ParseSeconds(d[name])
}

// Unqualified reports whether no-cache or private is there and holds for the
// whole response, not just for fields that it names, as in private="x-user" (RFC
// 9111 §5.2.2.4, §5.2.2.7). It is for the whole also where one of the names
// cannot be one.
func (d Directives) Unqualified(name string) bool {
	return d.Has(name) && d.fields(name) == nil
}

// Withheld are the header fields, in canonical form, that no-cache and private
// name. A shared cache must not store those of private, and must not send those of
// no-cache before it has asked the origin. Who stores neither does right by both.
func (d Directives) Withheld() []string {
	return append(d.fields("no-cache"), d.fields("private")...)
}

// fields are those that the directive names: nil if it is about the whole
// response, or absent.
func (d Directives) fields(name string) []string {
	var fields []string
	for field := range strings.SplitSeq(d[name], ",") {
		field = strings.Trim(field, " \t")
		if field == "" {
			continue // lists may have empty elements (RFC 9110 §5.6.1)
		}
		if !IsToken(field) {
			return nil
		}
		fields = append(fields, http.CanonicalHeaderKey(field))
	}
	return fields
}

// ParseSeconds reads a number of seconds as Cache-Control and Age have it: digits
// and nothing else (RFC 9111 §1.2.2). Whatever is larger is [MaxSeconds].
func ParseSeconds(s string) (d time.Duration, ok bool) {
	const most = int64(MaxSeconds / time.Second)
	var n int64
	for i := range len(s) {
		if !digit(s[i]) {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), most) // at each digit: there may be more of them than an int64 holds
	}
	return time.Duration(n) * time.Second, s != ""
}

// IsToken reports whether s is a token (RFC 9110 §5.6.2), as the names of header
// fields and of directives are. "" is none, and "*" is one.
func IsToken(s string) bool { return s != "" && token(s) == len(s) }

// HeuristicallyCacheable reports whether a response of this status may be stored
// and given a lifetime though it says nothing about it (RFC 9110 §15.1). 206 is
// left out: this cache keeps no partial content.
func HeuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// directive reads the first directive of line, up to its comma. name is empty
// where there is none.
func directive(line string) (name, arg, rest string) {
	line = strings.TrimLeft(line, " \t,")
	n := token(line)
	name, rest = strings.ToLower(line[:n]), line[n:]
	readable := true
	if n > 0 && strings.HasPrefix(rest, "=") {
		arg, rest, readable = argument(rest[1:])
	}
	rest = strings.TrimLeft(rest, " \t")
	if readable && (rest == "" || rest[0] == ',') {
		return name, arg, rest
	}
	// Look for the comma from the name on, and not from the end of what might be
	// a quoted string: one that never ends would swallow the no-store behind it.
	_, rest, _ = strings.Cut(line[n:], ",")
	return name, "?", rest
}

// argument reads a token or a quoted string (RFC 9110 §5.6.4).
func argument(s string) (arg, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		n := token(s)
		return s[:n], s[n:], n > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", s, false
}

// token is how many octets at the beginning of s make a token (RFC 9110 §5.6.2).
func token(s string) int {
	for i := range len(s) {
		if !tchar(s[i]) {
			return i
		}
	}
	return len(s)
}

func tchar(c byte) bool {
	return alpha(c) || digit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func alpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }

// kind is the type of a value in a structured field (RFC 9651 §3).
type kind byte

const (
	integer kind = 1 << iota
	yes          // the Boolean true, which is also a name without a value
	text         // a String
	word         // a Token
	other        // what no cache directive has
)

// kinds are the types of the directives that this cache knows (RFC 9213 §2.1).
var kinds = map[string]kind{
	"max-age": integer, "s-maxage": integer, "stale-while-revalidate": integer, "stale-if-error": integer,
	"no-store": yes, "public": yes, "must-revalidate": yes, "proxy-revalidate": yes,
	"no-transform": yes, "must-understand": yes, "immutable": yes,
	"no-cache": yes | text | word, "private": yes | text | word,
}

// dictionary reads a Dictionary of directives as RFC 9651 §4.2.2 prescribes. ok
// is false where it is none, or a directive has a value of a wrong type.
func dictionary(line string) (d Directives, ok bool) {
	d = Directives{}
	kindOf := map[string]kind{}
	s := structured{strings.TrimLeft(line, " ")}
	for s.rest != "" {
		name, ok := s.key()
		if !ok {
			return nil, false
		}
		is, value := yes, ""
		if s.skip('=') {
			if is, value, ok = s.member(); !ok {
				return nil, false
			}
		}
		if !s.parameters() {
			return nil, false
		}
		d[name], kindOf[name] = value, is // the last one counts
		if s.rest = strings.TrimLeft(s.rest, " \t"); s.rest == "" {
			break
		}
		comma := s.skip(',')
		s.rest = strings.TrimLeft(s.rest, " \t")
		if !comma || s.rest == "" { // a comma at the end is a fault
			return nil, false
		}
	}
	for name, want := range kinds {
		if is, there := kindOf[name]; there && is&want == 0 {
			return nil, false
		}
	}
	return d, true
}

// structured is what is still to be read of a structured field.
type structured struct{ rest string }

// skip reads c if that is what comes next.
func (s *structured) skip(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// while reads the octets that is allows.
func (s *structured) while(is func(c byte) bool) (read string) {
	n := 0
	for n < len(s.rest) && is(s.rest[n]) {
		n++
	}
	read, s.rest = s.rest[:n], s.rest[n:]
	return read
}

func (s *structured) key() (name string, ok bool) {
	name = s.while(func(c byte) bool {
		return c >= 'a' && c <= 'z' || digit(c) || c == '_' || c == '-' || c == '.' || c == '*'
	})
	return name, name != "" && (alpha(name[0]) || name[0] == '*')
}

// parameters reads what may follow an item. It means nothing here.
func (s *structured) parameters() bool {
	for s.skip(';') {
		s.rest = strings.TrimLeft(s.rest, " ")
		if _, ok := s.key(); !ok {
			return false
		}
		if s.skip('=') {
			if _, _, ok := s.item(); !ok {
				return false
			}
		}
	}
	return true
}

// member reads an item without its parameters, or a list of items in brackets.
func (s *structured) member() (is kind, value string, ok bool) {
	if !s.skip('(') {
		return s.item()
	}
	for {
		blank := s.while(func(c byte) bool { return c == ' ' })
		if s.skip(')') {
			return other, "?", true
		}
		if is != 0 && blank == "" {
			return 0, "", false
		}
		if is, _, ok = s.item(); !ok || !s.parameters() {
			return 0, "", false
		}
	}
}

// item reads a value without parameters (RFC 9651 §4.2.3.1).
func (s *structured) item() (is kind, value string, ok bool) {
	switch {
	case s.rest == "":
		return 0, "", false
	case s.rest[0] == '-' || digit(s.rest[0]):
		return s.number()
	case s.rest[0] == '*' || alpha(s.rest[0]):
		return word, s.while(func(c byte) bool { return tchar(c) || c == ':' || c == '/' }), true
	case s.skip('"'):
		return s.text()
	case s.skip('?'):
		if s.skip('1') {
			return yes, "", true
		}
		return other, "?", s.skip('0')
	case s.skip('@'):
		is, _, ok = s.number()
		return other, "?", ok && is == integer
	case s.skip(':'):
		octets := s.while(func(c byte) bool { return alpha(c) || digit(c) || c == '+' || c == '/' || c == '=' })
		_, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(octets, "=")) // they may be padded or not
		return other, "?", err == nil && s.skip(':')
	case s.skip('%'):
		return other, "?", s.skip('"') && s.display()
	}
	return 0, "", false
}

// number reads an Integer of up to 15 digits, or a Decimal of up to 12 and 3.
func (s *structured) number() (is kind, value string, ok bool) {
	if s.skip('-') {
		value = "-"
	}
	whole := s.while(digit)
	if !s.skip('.') {
		return integer, value + whole, len(whole) >= 1 && len(whole) <= 15
	}
	part := s.while(digit)
	return other, "?", len(whole) >= 1 && len(whole) <= 12 && len(part) >= 1 && len(part) <= 3
}

// text reads a String from behind its first quote.
func (s *structured) text() (is kind, value string, ok bool) {
	var b strings.Builder
	for {
		b.WriteString(s.while(func(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }))
		if s.skip('"') {
			return text, b.String(), true
		}
		if !s.skip('\\') || s.rest == "" || s.rest[0] != '"' && s.rest[0] != '\\' {
			return 0, "", false
		}
		b.WriteByte(s.rest[0])
		s.rest = s.rest[1:]
	}
}

// display reads a Display String from behind its first quote: %c3%a4 is an octet each.
func (s *structured) display() bool {
	var b []byte
	hex := func(c byte) int { return strings.IndexByte("0123456789abcdef", c) }
	for {
		b = append(b, s.while(func(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '%' })...)
		if s.skip('"') {
			return utf8.Valid(b)
		}
		if !s.skip('%') || len(s.rest) < 2 || hex(s.rest[0]) < 0 || hex(s.rest[1]) < 0 {
			return false
		}
		b = append(b, byte(hex(s.rest[0])<<4|hex(s.rest[1])))
		s.rest = s.rest[2:]
	}
}
