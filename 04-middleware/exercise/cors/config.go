package cors

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// policy is a Config that was checked, in the form in which it is used.
type policy struct {
	origins, methods, headers []string

	// What answers say. Empty means that the field is left out.
	credentials, allowMethods, allowHeaders, exposeHeaders, maxAge string
}

// allows reports whether scripts of origin may read answers.
func (p *policy) allows(origin string) bool {
	if len(origin) > len("https://")+253+len(":65535") {
		return false // no host is that long
	}
	for _, pattern := range p.origins {
		if Match(pattern, origin) {
			return true
		}
	}
	return false
}

// allowOrigin is what Access-Control-Allow-Origin says to an origin that is
// allowed: its own name, for one and no list can stand there, or "*".
func (p *policy) allowOrigin(origin string) string {
	if len(p.origins) == 1 && p.origins[0] == "*" {
		return "*"
	}
	return origin
}

// method reports whether a preflight may ask for what the lines of its
// Access-Control-Request-Method say. Methods are case-sensitive, and there is
// exactly one.
func (p *policy) method(lines []string) bool {
	return len(lines) == 1 && (slices.Contains(safelisted, lines[0]) || slices.Contains(p.methods, lines[0]))
}

// maxRequested is how many octets all lines of Access-Control-Request-Headers
// may have together. More than a browser sends is an attempt to keep us busy.
const maxRequested = 4096

// fields reports whether a preflight may ask for all that the lines of its
// Access-Control-Request-Headers say: a list of names (RFC 9110 §5.6.1), which a
// proxy may have split into several lines.
func (p *policy) fields(lines []string) bool {
	size := 0
	for _, line := range lines {
		if size += len(line); size > maxRequested {
			return false
		}
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if name != "" && !slices.ContainsFunc(p.headers, func(allowed string) bool { return strings.EqualFold(name, allowed) }) {
				return false
			}
		}
	}
	return true
}

// safelisted are the methods that need no permission (Fetch, "CORS-safelisted
// method").
var safelisted = []string{"GET", "HEAD", "POST"}

// forbiddenHeaders are those that no script can set (Fetch, "forbidden
// request-header"), and neither can it set those that begin with Proxy- or Sec-.
var forbiddenHeaders = []string{
	"accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method",
	"access-control-request-private-network", "connection", "content-length", "cookie", "cookie2", "date", "dnt", "expect", "host",
	"keep-alive", "origin", "referer", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "via",
}

// policy checks c, and names all its faults at once.
func (c Config) policy() (*policy, error) {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("cors: "+format, args...))
	}
	for _, origin := range c.Origins {
		switch why := c.originFault(origin); {
		case why != "":
			fault("origin %q %s", origin, why)
		case origin == "*" && len(c.Origins) > 1:
			fault(`origin "*" allows everybody: write it alone, or leave it out`)
		case origin == "*" && c.Credentials:
			fault(`origin "*" cannot be had with credentials (Fetch, "CORS protocol and credentials"): name the origins that you trust with your users' accounts`)
		}
	}
	for _, method := range c.Methods {
		switch upper := strings.ToUpper(method); {
		case method == "*":
			fault(`method "*" is not supported: name the methods`)
		case !httpguts.ValidHeaderFieldName(method): // both are tokens
			fault("method %q is no method (RFC 9110 §9.1)", method)
		case slices.Contains([]string{"CONNECT", "TRACE", "TRACK"}, upper):
			fault("method %q is forbidden to scripts (Fetch, forbidden method)", method)
		case upper != method:
			fault("method %q: methods are case-sensitive, write %q", method, upper)
		}
	}
	for _, name := range c.Headers {
		switch lower := strings.ToLower(name); {
		case name == "*":
			fault(`header "*" is not supported: name the headers`)
		case !httpguts.ValidHeaderFieldName(name):
			fault("header %q is no field name (RFC 9110 §5.1)", name)
		case slices.Contains(forbiddenHeaders, lower), strings.HasPrefix(lower, "proxy-"), strings.HasPrefix(lower, "sec-"):
			fault("header %q is forbidden to scripts (Fetch, forbidden request-header)", name)
		case strings.HasPrefix(lower, "access-control-"):
			fault("header %q is one of an answer", name)
		}
	}
	for _, name := range c.Expose {
		switch lower := strings.ToLower(name); {
		case name == "*":
			fault(`exposed header "*" is not supported: name the headers`)
		case !httpguts.ValidHeaderFieldName(name):
			fault("exposed header %q is no field name (RFC 9110 §5.1)", name)
		case lower == "set-cookie", lower == "set-cookie2":
			fault("exposed header %q is forbidden to scripts (Fetch, forbidden response-header name)", name)
		}
	}
	if c.MaxAge < 0 || c.MaxAge > 24*time.Hour || c.MaxAge%time.Second != 0 {
		fault("MaxAge is %v, must be whole seconds, from 0 to 24 hours", c.MaxAge)
	}
	if faults != nil {
		return nil, errors.Join(faults...)
	}
	p := &policy{
		origins:       slices.Clone(c.Origins),
		methods:       slices.Clone(c.Methods),
		headers:       slices.Clone(c.Headers),
		allowMethods:  strings.Join(c.Methods, ","),
		allowHeaders:  strings.Join(c.Headers, ","),
		exposeHeaders: strings.Join(c.Expose, ","),
	}
	if c.Credentials {
		p.credentials = "true"
	}
	if c.MaxAge > 0 {
		p.maxAge = strconv.Itoa(int(c.MaxAge / time.Second))
	}
	return p, nil
}

// originFault is what is wrong with one of c.Origins; empty means nothing.
func (c Config) originFault(origin string) string {
	if origin == "*" {
		return ""
	}
	if origin == "null" {
		return "is that of every sandboxed frame and local file: it can be trusted with nothing"
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	switch {
	case !ok:
		return `has no scheme: write "https://" in front of it`
	case scheme != "https" && scheme != "http":
		return fmt.Sprintf("has scheme %q, must be https or http, in lower case", scheme)
	case strings.ContainsAny(rest, "/?#@"):
		return "is more than scheme, host and port: a browser sends no path, and no slash at the end"
	}
	host, port := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		host, port = rest[:i], rest[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return fmt.Sprintf("has port %q, must be a number from 1 to 65535", port)
		}
		if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
			return "has its scheme's own port, which a browser leaves out: leave it out, too"
		}
	}
	loopback := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		if written := addr.String(); addr.Zone() != "" || addr.Is4In6() || host != written && host != "["+written+"]" || addr.Is6() != (host[0] == '[') {
			return "has an address that is not written as a browser writes it (RFC 5952, IPv6 in brackets)"
		}
		loopback = addr.IsLoopback()
	} else {
		domain, wildcard := strings.CutPrefix(host, "*.")
		labels := strings.Split(domain, ".")
		for _, label := range labels {
			if !isLabel(label) {
				return fmt.Sprintf(`has host %q: labels of a-z, 0-9, "-" and "_" (others in their xn-- form), and "*." at most once, in front`, host)
			}
		}
		if len(host) > 253 {
			return "has a host of more than 253 octets"
		}
		if last := labels[len(labels)-1]; '0' <= last[0] && last[0] <= '9' {
			return fmt.Sprintf("has host %q, which a browser takes for an IPv4 address", host)
		}
		if wildcard && len(labels) == 1 {
			return fmt.Sprintf("allows everybody who has a domain under %q: name one of them", domain)
		}
	}
	if scheme == "http" && c.Credentials && !loopback {
		return "is plain http: with credentials, whoever sits on the line could use your users' accounts"
	}
	return ""
}
