package representation

import (
	"mime"
	"strings"
)

// mediaRange is an element of the field Accept: which media types, and how much they
// are liked. A media type, as an offer, is one that covers nothing but itself.
type mediaRange struct {
	kind, sub string            // as "text" and "html", in lower case; "*" stands for any
	params    map[string]string // without q; their names are in lower case
	q         int               // the weight in thousandths, 0 to 1000; 1000 where none is given
}

// covers reports whether offer is one of the media types that m names.
func (m mediaRange) covers(offer mediaRange) bool {
	if m.kind != "*" && m.kind != offer.kind || m.sub != "*" && m.sub != offer.sub {
		return false
	}
	for name, value := range m.params {
		if has, ok := offer.params[name]; !ok || has != value {
			return false
		}
	}
	return true
}

// ranges are the elements of a field Accept that can be read, in their order, on
// whichever of the lines they stand.
func ranges(lines []string) (listed []mediaRange) {
	for _, line := range lines {
		for line != "" {
			var element string
			element, line = cut(line)
			if m, ok := parse(element); ok {
				listed = append(listed, m)
			}
		}
	}
	return listed
}

// parse reads one element, such as " text/plain;format=flowed ; q=0.5". ok is false if
// it is empty, or is none by the grammar of RFC 9110 §12.5.1: "*/json", "json", a
// weight above 1. A parameter q is the weight, wherever it stands.
//
// charset=utf-8 is left out: all that is offered here is UTF-8, and says so or not. A
// client that asks for it must not be told that it could not be had.
func parse(element string) (m mediaRange, ok bool) {
	name, params, err := mime.ParseMediaType(element)
	if err != nil {
		return m, false
	}
	m.params, m.q = params, 1000
	if m.kind, m.sub, ok = strings.Cut(name, "/"); !ok || m.kind == "*" && m.sub != "*" {
		return m, false
	}
	if q, weighted := params["q"]; weighted {
		delete(params, "q")
		if m.q, ok = thousandths(q); !ok {
			return m, false
		}
	}
	if strings.EqualFold(params["charset"], "utf-8") {
		delete(params, "charset")
	}
	return m, true
}

// thousandths reads "0.25" as 250. A weight has at most three places, and is at most 1
// (RFC 9110 §12.4.2). As integers, weights compare without surprises.
func thousandths(s string) (n int, ok bool) {
	if len(s) == 0 || len(s) > len("0.000") || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	digits := s[:1]
	if len(s) > 1 {
		digits += s[2:]
	}
	for _, digit := range (digits + "000")[:4] {
		if digit < '0' || digit > '9' {
			return 0, false // strconv.ParseFloat would read "NaN" and "1e3"
		}
		n = 10*n + int(digit-'0')
	}
	return n, n <= 1000
}

// cut cuts line at its first comma that stands in no quoted string.
func cut(line string) (before, after string) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case quoted && line[i] == '\\':
			i++ // what comes next is quoted, whatever it is
		case line[i] == '"':
			quoted = !quoted
		case !quoted && line[i] == ',':
			return line[:i], line[i+1:]
		}
	}
	return line, ""
}
