package client

import (
	"math"
	"strconv"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

// maxHops bounds what is read from an answer, whose sender may not be a friend.
const maxHops = 100

// hops reads the values of an answer's Server-Timing fields: what each server
// on the way says that it took.
//
//	Server-Timing: shop;dur=0.12, db;desc="orders, by customer";dur=3.5
//
// A dur is in milliseconds; one that is missing or makes no sense is zero. Of a
// parameter that is there twice the first counts; unknown ones, and metrics
// without a proper name, are left out.
//
// Source: W3C Server Timing §3.1; token and quoted-string RFC 9110 §5.6.
func hops(fields []string) []stage.Hop {
	all := []stage.Hop{} // in JSON an empty list, not null
	for _, field := range fields {
		for _, metric := range split(field, ',') {
			parts := split(metric, ';')
			hop := stage.Hop{Name: strings.Trim(parts[0], " \t")}
			if !isToken(hop.Name) || len(all) == maxHops {
				continue
			}
			seen := map[string]bool{}
			for _, param := range parts[1:] {
				name, value, _ := strings.Cut(param, "=")
				name = strings.ToLower(strings.Trim(name, " \t"))
				if seen[name] {
					continue
				}
				seen[name] = true
				switch value = unquote(strings.Trim(value, " \t")); name {
				case "dur":
					if dur, err := strconv.ParseFloat(value, 64); err == nil && 0 < dur && dur < 1e12 {
						hop.US = int64(math.Round(dur * 1000))
					}
				case "desc":
					hop.Detail = value
				}
			}
			all = append(all, hop)
		}
	}
	return all
}

// split cuts s at each sep that stands outside of a quoted string.
func split(s string, sep byte) (parts []string) {
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++ // the next character is itself, a quote too
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote is the text of a quoted string, up to its closing quote, or s itself
// where it is a token.
func unquote(s string) string {
	if !strings.HasPrefix(s, `"`) {
		return s
	}
	var text strings.Builder
	for i := 1; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' {
			if i++; i == len(s) {
				break
			}
		}
		text.WriteByte(s[i])
	}
	return text.String()
}

func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F || strings.IndexByte(`"(),/:;<=>?@[\]{}`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}
