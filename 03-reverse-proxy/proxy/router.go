package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Route says which requests a handler gets.
type Route struct {
	// Host is a name, "shop.test"; or all names one label below another,
	// "*.shop.test", as in certificates (RFC 9525 §6.3); or "", for hosts that no
	// other route names.
	Host string
	// Prefix is where the paths begin: "/api" is for /api, /api/ and /api/menu,
	// and not for /apix. "/" is for all.
	Prefix string
	// Handler gets the request, with the clean path, whole: nothing is cut off.
	Handler http.Handler
}

// Router is an http.Handler that hands each request to the route for its host and
// path. Make one with NewRouter.
type Router struct {
	hosts map[string][]Route // in lower case, the longest prefix first
}

// NewRouter returns a Router over routes, or all that is wrong with them.
func NewRouter(routes ...Route) (*Router, error) {
	m := &Router{hosts: map[string][]Route{}}
	var faults []error
	if len(routes) == 0 {
		faults = append(faults, errors.New("proxy: no routes"))
	}
	for _, r := range routes {
		host := strings.ToLower(r.Host)
		if name := strings.TrimPrefix(host, "*."); name != hostname(name) || strings.ContainsAny(name, "*/ ") || name == "" && host != "" {
			faults = append(faults, fmt.Errorf("proxy: host %q: want a name, *.name, or nothing", r.Host))
		}
		if clean, _, ok := cleanPath(&url.URL{Path: r.Prefix}); !ok || clean != r.Prefix || len(r.Prefix) > 1 && strings.HasSuffix(r.Prefix, "/") {
			faults = append(faults, fmt.Errorf("proxy: prefix %q: want a clean path without a slash at its end, or /", r.Prefix))
		}
		if r.Handler == nil {
			faults = append(faults, fmt.Errorf("proxy: %s%s has no handler", r.Host, r.Prefix))
		}
		if slices.ContainsFunc(m.hosts[host], func(o Route) bool { return o.Prefix == r.Prefix }) {
			faults = append(faults, fmt.Errorf("proxy: %s%s is there twice", r.Host, r.Prefix))
		}
		m.hosts[host] = append(m.hosts[host], r)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for _, list := range m.hosts {
		slices.SortFunc(list, func(a, b Route) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	}
	return m, nil
}

// ServeHTTP finds the route. First comes the host: by its own name, else by a
// "*.", else by "". Port, case and a dot at the end make no difference. Then comes
// the longest prefix. A host that no route has gets 421 (Misdirected Request), a
// path that none of its host's routes has 404: the routes of "" do not stand in.
//
// Before that the path is made clean, and goes on like that: the segments "." and
// ".." are resolved (RFC 3986 §5.2.4), and of several slashes one is left. What
// means one thing to whoever decodes it and another to whoever does not is
// refused, with 400: encoded slashes and backslashes, dot segments that are
// encoded or have parameters ("..;"), plain backslashes, and control characters,
// encoded or not.
func (m *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "*" || r.Method != http.MethodOptions { // which asks for the host as a whole (RFC 9110 §9.3.7)
		path, raw, ok := cleanPath(r.URL)
		if !ok {
			refuse(w, http.StatusBadRequest)
			return
		}
		if path != r.URL.Path || raw != r.URL.RawPath {
			u := *r.URL
			u.Path, u.RawPath = path, raw
			r = r.WithContext(r.Context()) // a copy: whoever logs the request wants it as it came
			r.URL = &u
		}
	}
	host := strings.ToLower(hostname(r.Host))
	routes, ok := m.hosts[host]
	if _, parent, below := strings.Cut(host, "."); !ok && below {
		routes, ok = m.hosts["*."+parent]
	}
	if !ok {
		routes, ok = m.hosts[""]
	}
	if !ok {
		refuse(w, http.StatusMisdirectedRequest)
		return
	}
	for _, route := range routes {
		if rest, ok := strings.CutPrefix(r.URL.Path, route.Prefix); route.Prefix == "/" || ok && (rest == "" || rest[0] == '/') {
			route.Handler.ServeHTTP(w, r)
			return
		}
	}
	refuse(w, http.StatusNotFound)
}

// hostname is host without port and final dot.
func hostname(host string) string {
	if strings.IndexByte(host, ':') >= 0 {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// cleanPath is u's path, clean, as ServeHTTP says: the values for u.Path and
// u.RawPath. ok is false where it can be read in two ways.
func cleanPath(u *url.URL) (path, rawPath string, ok bool) {
	raw := u.EscapedPath()
	if !strings.HasPrefix(u.Path, "/") {
		return "", "", false
	}
	for i := 0; i < len(u.Path); i++ {
		if c := u.Path[i]; c < ' ' || c == 0x7f || c == '\\' {
			return "", "", false
		}
	}
	if strings.IndexByte(raw, '%') >= 0 {
		// As many slashes, and the same dots, before decoding and after it.
		if strings.Count(raw, "/") != strings.Count(u.Path, "/") {
			return "", "", false
		}
		plain := strings.Split(u.Path, "/")
		for i, segment := range strings.Split(raw, "/") {
			if dots, _, _ := strings.Cut(plain[i], ";"); (dots == "." || dots == "..") && segment != plain[i] {
				return "", "", false
			}
		}
	}
	if !strings.Contains(raw, "//") && !strings.Contains(raw, "/.") {
		return u.Path, u.RawPath, true
	}
	var kept []string
	for segment := range strings.SplitSeq(raw, "/") {
		if dots, _, more := strings.Cut(segment, ";"); more && (dots == "." || dots == "..") {
			return "", "", false // to some servers, what begins with the semicolon is no part of the name
		}
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)] // above the root is the root
		default:
			kept = append(kept, segment)
		}
	}
	clean := "/" + strings.Join(kept, "/")
	if last := raw[strings.LastIndexByte(raw, '/')+1:]; len(kept) > 0 && (last == "" || last == "." || last == "..") {
		clean += "/" // it was a folder, and still is
	}
	path, err := url.PathUnescape(clean)
	if rawPath = clean; (&url.URL{Path: path}).EscapedPath() == clean {
		rawPath = "" // it is for where there is another way to write it
	}
	return path, rawPath, err == nil
}
