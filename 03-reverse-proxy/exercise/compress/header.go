package compress

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

// worth reports whether Config.Types names the type in this value of Content-Type.
func (c *compressor) worth(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	kind, _, _ := strings.Cut(name, "/")
	return c.types[name] || c.types[kind+"/*"]
}

// length is the value of Content-Length. ok is false where there is none.
func length(h http.Header) (n int64, ok bool) {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	return n, err == nil && n >= 0
}

// noTransform reports whether Cache-Control forbids that the content be changed.
func noTransform(h http.Header) bool {
	return httpcache.ParseDirectives(h.Values("Cache-Control")).Has("no-transform")
}

// addVary adds Accept-Encoding to Vary, unless that names it or is "*".
func addVary(h http.Header) {
	lines := h.Values("Vary")
	for name := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
			return
		}
	}
	h.Set("Vary", strings.Join(append(slices.Clone(lines), "Accept-Encoding"), ", "))
}

// suffixed is the tag of the same content in this coding: "abc" becomes
// "abc-gzip". A weak tag stays as it is: it stands for all that mean the same
// (RFC 9110 §8.8.3.3). So does what is no tag.
func suffixed(tag, name string) string {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return tag
	}
	return tag[:len(tag)-1] + suffix(name)
}

// suffix is what the tag of an answer in this coding ends with. No tag has a
// quote within (RFC 9110 §8.8.3), so it is nowhere but at an end.
func suffix(name string) string { return "-" + name + `"` }

// withoutSuffix is r with the conditions that the handler behind understands.
//
// Of If-None-Match only tags in the coding that this answer would have are
// changed. With a 304 for another, a cache that named all it has would give its
// br to who wants gzip. If-Match says which state was seen, in whatever coding.
func withoutSuffix(r *http.Request, name string, codings []string) *http.Request {
	without := func(field string, codings ...string) string {
		tags := strings.Join(r.Header[field], ", ")
		for _, name := range codings {
			tags = strings.ReplaceAll(tags, suffix(name), `"`)
		}
		return tags
	}
	if r.Header["If-None-Match"] == nil && r.Header["If-Match"] == nil {
		return r
	}
	header := r.Header
	for field, tags := range map[string]string{
		"If-None-Match": without("If-None-Match", name),
		"If-Match":      without("If-Match", codings...),
	} {
		if tags == strings.Join(r.Header[field], ", ") {
			continue
		}
		r = r.WithContext(r.Context()) // a copy: the request is its caller's
		header = header.Clone()
		header.Set(field, tags)
		r.Header = header
	}
	return r
}
