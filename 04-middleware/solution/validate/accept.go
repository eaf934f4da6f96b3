package validate

import (
	"iter"
	"strings"
)

// ranges are the media ranges of a field Accept, in their order: "text/html",
// "text/*" or "*/*", in lower case and without their parameters, and the weight of
// each, from 0 to 1000, which is 1000 where none is given. A range whose weight
// cannot be read is left out.
//
// "text/html;level=1" counts as "text/html": no answer here has parameters.
func ranges(lines []string) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, line := range lines {
			for line != "" {
				var element string
				element, line = cut(line, ',')
				name, parameters := cut(element, ';')
				name = strings.ToLower(strings.Trim(name, " \t"))
				if q, ok := weight(parameters); ok && name != "" && !yield(name, q) {
					return
				}
			}
		}
	}
}

// weight is that of parameters, as " q=0.5": RFC 9110 §12.4.2.
func weight(parameters string) (q int, ok bool) {
	q, ok = 1000, true
	for parameters != "" {
		var p string
		p, parameters = cut(parameters, ';')
		name, value, _ := strings.Cut(strings.Trim(p, " \t"), "=")
		if strings.EqualFold(name, "q") {
			q, ok = thousandths(value)
		}
	}
	return q, ok
}

// thousandths reads "0.25" as 250. A weight has at most three places, and is at most 1.
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

// cut cuts s at the first sep that stands in no quoted string.
func cut(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++ // what comes next is quoted, whatever it is
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == sep:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
