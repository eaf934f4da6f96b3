// Package acceptencoding chooses the content coding of an answer: the one that
// the client accepts best of those that the server can make.
//
// An answer may be packed before it is sent, by gzip for one, and most are half
// as long then or less. But the client must be able to unpack it. It says what
// it can do, and what it likes how well, in the field Accept-Encoding. In the
// story, the guest who takes a meal home says which boxes fit into the bag.
//
// Source: RFC 9110 §12.5.3 (Accept-Encoding), §12.4.2 (weights), §8.4.1 (codings).
package acceptencoding

import "strings"

// Identity is the name of no coding at all: the content as it is.
const Identity = "identity"

// Choose returns the coding that the client accepts best. lines are the lines of
// its Accept-Encoding field, as in http.Header; there are none if it sent no such
// field. offers are what the server can make, such as "br" and "gzip", in lower
// case, the best first. Identity is always on offer, behind all of them.
//
// Each coding has a weight, from 0 to 1 (RFC 9110 §12.5.3):
//
//   - Where it is listed, it has the weight that stands there, or 1 if none does.
//   - Where it is not listed, but "*" is, it has the weight of "*".
//   - Otherwise it is not accepted.
//
// All of this goes for Identity, too, but for the last point: where neither it nor
// "*" is listed, Identity is accepted, as the last resort, behind every offer whose
// weight is not 0.
//
// The highest weight wins; among equals the one that comes first in offers, and
// Identity behind them. Weight 0 means: not acceptable, not even as the last resort.
//
// If there is no field, anything would be allowed. Choose returns Identity then:
// a client that says nothing may well be one that can unpack nothing. An empty
// field says so in so many words.
//
// ok is false where not even Identity is acceptable, nor anything else. coding is
// Identity then, too: a server may send that all the same, or answer 406 (§12.1).
//
// An element that cannot be read ([parse] says so) lists nothing, and refuses
// nothing. Where a coding is listed twice, on one line or on two, the first counts.
func Choose(lines []string, offers []string) (coding string, ok bool) {
	//workshop:begin return "", false
	//workshop:todo For each offer find its weight, and keep the best. Then find Identity's weight, in
	//workshop:todo the same way: is it better than the best offer? Refused? Or not listed at all?
	//workshop:todo parse (below) reads one element of a line.
	best := 0
	for _, offer := range offers {
		if q, _ := weight(lines, offer); q > best { // not >=: among equals the server's order decides
			coding, best = offer, q
		}
	}
	q, listed := weight(lines, Identity)
	if q > best || best == 0 && !listed {
		return Identity, true
	}
	if best == 0 {
		return Identity, false
	}
	return coding, true
	//workshop:end
}

// weight is what the lines say about coding, by its name or by "*". listed is
// false, and q is 0, where they say nothing.
//
//workshop:omit
func weight(lines []string, coding string) (q int, listed bool) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			switch name, n, ok := parse(element); {
			case !ok:
			case name == coding:
				return n, true // by its own name, whatever "*" says, and wherever
			case name == "*" && !listed:
				q, listed = n, true
			}
		}
	}
	return q, listed
}

// parse reads one element of the list, such as " gzip;q=0.5". name is the
// coding in lower case, or "*"; "x-gzip" is an old name of "gzip" (§8.4.1.3). q
// is its weight in thousandths, 0 to 1000, and 1000 where none is given: weights
// have three places at most, and as integers they compare without surprises. ok
// is false if the element is empty, or is none by the grammar of the RFC.
func parse(element string) (name string, q int, ok bool) {
	name, weight, weighted := strings.Cut(element, ";")
	name = strings.ToLower(strings.Trim(name, " \t"))
	switch name {
	case "x-gzip", "x-compress":
		name = name[len("x-"):]
	}
	if !weighted {
		return name, 1000, name != ""
	}
	weight = strings.Trim(weight, " \t")
	if len(weight) < len("q=0") || len(weight) > len("q=0.000") || weight[0]|0x20 != 'q' || weight[1] != '=' {
		return "", 0, false
	}
	whole, places := weight[2:3], ""
	if len(weight) > 3 {
		if weight[3] != '.' {
			return "", 0, false
		}
		places = weight[4:]
	}
	for _, digit := range (whole + places + "000")[:4] {
		if digit < '0' || digit > '9' {
			return "", 0, false // by strconv.ParseFloat, "NaN" and "1e3" would be weights
		}
		q = 10*q + int(digit-'0')
	}
	return name, q, name != "" && q <= 1000
}
