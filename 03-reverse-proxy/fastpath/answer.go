package fastpath

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// answer is a response, and how its body is framed. All of it is one piece of
// memory.
type answer struct {
	resp    http.Response
	body    body
	chunked bool
	length  int64 // of the body; -1 if it is chunked, or ends with the connection
	keep    bool  // the connection may be used again
}

var chunkedCoding = []string{"chunked"}

// parseAnswer reads the head of an answer to r, which ends in an empty line.
func parseAnswer(text string, r *http.Request) (*answer, error) {
	line, fields, _ := strings.Cut(text, "\r\n")
	// HTTP/1.1 200 OK
	if len(line) < 12 || line[:7] != "HTTP/1." || line[7] < '0' || line[7] > '9' || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return nil, fmt.Errorf("status line %.40q", line)
	}
	status, err := strconv.ParseUint(line[9:12], 10, 0)
	if err != nil || status < 100 || !httpguts.ValidHeaderFieldValue(line) {
		return nil, fmt.Errorf("status line %.40q", line)
	}
	a := &answer{}
	a.resp = http.Response{Status: line[9:], StatusCode: int(status), Proto: line[:8], ProtoMajor: 1, ProtoMinor: int(line[7] - '0'), Request: r}
	if a.resp.Header, err = parseFields(fields); err != nil {
		return nil, err
	}
	return a, a.frame()
}

// parseFields reads field lines, up to an empty one.
func parseFields(text string) (http.Header, error) {
	count := strings.Count(text, "\n") - 1
	h := make(http.Header, count)
	values := make([]string, count) // one array for all, as most fields have one line
	for i := range count {
		line, rest, _ := strings.Cut(text, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) { // a folded line begins with a space, and is none, either
			return nil, fmt.Errorf("field line %.40q", line)
		}
		if value = strings.Trim(value, " \t"); !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("value of %s: %.40q", name, value)
		}
		name = http.CanonicalHeaderKey(name)
		if there := h[name]; there != nil {
			h[name] = append(there, value)
		} else {
			values[i] = value
			h[name] = values[i : i+1 : i+1]
		}
		text = rest
	}
	return h, nil
}

// frame finds out where the body ends (RFC 9112 §6.3), and refuses what could be
// understood in two ways.
func (a *answer) frame() error {
	resp, h := &a.resp, a.resp.Header
	codings, lengths := h["Transfer-Encoding"], h["Content-Length"]
	length := int64(-1)
	switch {
	case len(codings) > 0 && (len(lengths) > 0 || len(codings) > 1 || !strings.EqualFold(codings[0], "chunked") || resp.ProtoMinor == 0):
		return fmt.Errorf("framing: %s, Transfer-Encoding %q, Content-Length %q", resp.Proto, codings, lengths)
	case len(lengths) > 1:
		return fmt.Errorf("framing: Content-Length %q", lengths)
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63) // takes digits alone: no sign, no underscore
		if err != nil {
			return fmt.Errorf("framing: Content-Length %q", lengths[0])
		}
		length = int64(n)
	}
	delete(h, "Transfer-Encoding")
	a.chunked, a.length, resp.ContentLength = len(codings) > 0, length, length
	resp.Close = resp.ProtoMinor == 0 || httpguts.HeaderValuesContainsToken(h["Connection"], "close")
	a.keep = !resp.Close

	head := resp.Request.Method == http.MethodHead
	if code := resp.StatusCode; head || code < 200 || code == http.StatusNoContent || code == http.StatusNotModified {
		// A 204 has no body and may announce none. If it does, some will come.
		a.keep = a.keep && (head || code == http.StatusNotModified || !a.chunked && length <= 0)
		a.chunked, a.length = false, 0
		if !head {
			resp.ContentLength = 0
		}
		return nil
	}
	if a.chunked {
		resp.TransferEncoding = chunkedCoding
		for _, line := range h["Trailer"] {
			for name := range strings.SplitSeq(line, ",") {
				if name = http.CanonicalHeaderKey(strings.Trim(name, " \t")); httpguts.ValidTrailerHeader(name) && name != "" {
					if resp.Trailer == nil {
						resp.Trailer = http.Header{}
					}
					resp.Trailer[name] = nil
				}
			}
		}
		delete(h, "Trailer")
	}
	a.keep = a.keep && (a.chunked || length >= 0)
	resp.Close = !a.keep
	return nil
}
