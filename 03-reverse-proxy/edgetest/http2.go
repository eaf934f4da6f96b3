package edgetest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// RunHTTP2 tests what an edge makes of HTTP/2, which has no lines: what would be
// the end of one in HTTP/1.1 is an octet like others, until it is passed on to an
// origin by HTTP/1.1 (RFC 9113 §8.2.1, §10.3). start starts an edge like Run's,
// and returns where it takes TLS. Its certificate is not checked.
func RunHTTP2(t *testing.T, start func(t testing.TB, origin string) (addr string), skip map[string]string) {
	run(t, []group{{"http2", overHTTP2}}, start, skip)
}

// field is one of a header block, as it is, whatever that is.
type field [2]string

// get2 is a good request for path, with more fields.
func get2(path string, more ...field) []field {
	return append([]field{{":method", "GET"}, {":scheme", "https"}, {":authority", Host}, {":path", path}}, more...)
}

// instead is get2 with another value of one of its fields.
func instead(name, value string) []field {
	fields := get2("/attack")
	for i := range fields {
		if fields[i][0] == name {
			fields[i][1] = value
		}
	}
	return fields
}

// without is get2 without one of its fields.
func without(name string) (fields []field) {
	for _, f := range get2("/attack") {
		if f[0] != name {
			fields = append(fields, f)
		}
	}
	return fields
}

// answer2 is what came back: a status, or 0 where the stream or the connection
// was ended.
type answer2 struct {
	status int
	header map[string]string
	body   string
}

// exchange2 sends one request over a connection of its own, with content unless
// that is nil.
func exchange2(t testing.TB, addr string, fields []field, content *string) (a answer2, err error) {
	t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: deadline}, "tcp", addr, &tls.Config{
		InsecureSkipVerify: true, // who the edge is, is not the question
		NextProtos:         []string{"h2"},
	})
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, "h2", c.ConnectionState().NegotiatedProtocol, "the edge is to offer HTTP/2 (RFC 9113 §3.2)")
	require.NoError(t, c.SetDeadline(time.Now().Add(deadline)))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return a, err
	}
	framer := http2.NewFramer(c, c)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
	}
	err = framer.WriteSettings()
	for first := true; err == nil && (first || block.Len() > 0); first = false {
		piece := block.Next(16 << 10)
		if first {
			err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: piece, EndStream: content == nil, EndHeaders: block.Len() == 0})
		} else {
			err = framer.WriteContinuation(1, block.Len() == 0, piece)
		}
	}
	if err == nil && content != nil {
		err = framer.WriteData(1, true, []byte(*content))
	}
	// The edge may have ended the connection while it was being written to: what
	// it said is read all the same.
	for {
		frame, readErr := framer.ReadFrame()
		if readErr != nil {
			return a, errors.Join(err, readErr)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if a.status == 0 || a.status < 200 {
				a.header = map[string]string{}
				for _, h := range f.Fields {
					a.header[h.Name] = h.Value
				}
				a.status, _ = strconv.Atoi(a.header[":status"])
			}
			if f.StreamEnded() {
				return a, nil
			}
		case *http2.DataFrame:
			a.body += string(f.Data())
			if f.StreamEnded() {
				return a, nil
			}
		case *http2.RSTStreamFrame:
			if f.ErrCode == http2.ErrCodeNo { // enough of the request was read
				return a, nil
			}
			return a, fmt.Errorf("stream ended: %v", f.ErrCode)
		case *http2.GoAwayFrame:
			return a, fmt.Errorf("connection ended: %v %s", f.ErrCode, f.DebugData())
		}
	}
}

// attack2 is attack, by HTTP/2.
func attack2(t testing.TB, start Start, fields []field, content *string) (answer2, attacked) {
	t.Helper()
	r := newRecorder(t)
	addr := start(t, r.addr)
	good, err := exchange2(t, addr, get2("/good"), nil)
	require.NoError(t, err)
	require.Equal(t, 200, good.status, "nothing is proved by an edge that refuses all")
	before, _, fault := r.got()
	require.NoError(t, fault, "of a good request")

	got, err := exchange2(t, addr, fields, content)
	require.False(t, isTimeout(err), "neither an answer nor an end, as in: %.300q", fields)
	time.Sleep(quiet / 5) // for what must not come: the origin may still be reading it
	all, octets, fault := r.got()
	a := attacked{requests: all[len(before):], octets: octets}
	in := fmt.Sprintf("as in: %.300q; to the origin went:\n%s", fields, octets)
	assert.NoError(t, fault, "two readers would take what reached the origin for different requests, %s", in)
	assert.LessOrEqual(t, len(a.requests), 1, "of one request became more, %s", in)
	for _, h := range a.requests {
		assert.Contains(t, h.header.Get("X-Forwarded-For"), "127.0.0.1", "%s %s was smuggled, %s", h.method, h.target, in)
	}
	return got, a
}

// malformed is the leaf that a request with these fields is refused.
func malformed(name, why string, fields []field) leaf { return malformedWith(name, why, fields, nil) }

func malformedWith(name, why string, fields []field, content *string) leaf {
	return leaf{name: name, wire: func(t testing.TB, start Start) {
		got, a := attack2(t, start, fields, content)
		assert.Empty(t, a.requests, "%s: it must be refused, and reached the origin:\n%s", why, a.octets)
		assert.True(t, got.status == 0 || got.status >= 400, "%s: it must be refused, and the answer is %d", why, got.status)
	}}
}

// more is get2 with another field.
func more(name, value string) []field { return get2("/attack", field{name, value}) }

func text2(s string) *string { return &s }

const splitting = "x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: " + Host + "\r\n\r\n"

var overHTTP2 = []leaf{
	{name: "content_arrives", wire: func(t testing.TB, start Start) {
		fields := append(instead(":method", "POST"), field{"content-length", "5"})
		got, a := attack2(t, start, fields, text2("hello"))
		assert.Equal(t, "200 well", fmt.Sprint(got.status, " ", got.body))
		require.Len(t, a.requests, 1)
		assert.Equal(t, "POST /attack hello", a.requests[0].method+" "+a.requests[0].target+" "+a.requests[0].body)
	}},
	{name: "content_of_unknown_length_hides_nothing", wire: func(t testing.TB, start Start) {
		_, a := attack2(t, start, instead(":method", "POST"), text2(hidden))
		require.Len(t, a.requests, 1)
		assert.Equal(t, hidden, a.requests[0].body)
	}},
	{name: "cookies_arrive_on_one_line", wire: func(t testing.TB, start Start) {
		_, a := attack2(t, start, get2("/attack", field{"cookie", "a=1"}, field{"cookie", "b=2"}), nil)
		require.Len(t, a.requests, 1)
		assert.Equal(t, []string{"a=1; b=2"}, a.requests[0].header["Cookie"], "HTTP/1.1 knows one Cookie field (RFC 9113 §8.2.3)")
	}},
	{name: "fields_of_the_origin's_connection_do_not_arrive", wire: func(t testing.TB, start Start) {
		r := newRecorder(t)
		r.respond = func(int, heard) string {
			return ok("well", "Connection: X-Hop", "X-Hop: mine", "Keep-Alive: timeout=5")
		}
		got, err := exchange2(t, start(t, r.addr), get2("/"), nil)
		require.NoError(t, err)
		require.Equal(t, 200, got.status)
		for _, name := range []string{"connection", "x-hop", "keep-alive", "transfer-encoding"} {
			assert.NotContains(t, got.header, name, "RFC 9113 §8.2.2")
		}
	}},
	malformed("lines_in_the_path_are_refused", "RFC 9113 §8.2.1", instead(":path", "/attack HTTP/1.1\r\nHost: "+Host+"\r\n\r\nGET /smuggled")),
	{name: "a_space_in_the_path_hides_nothing", wire: func(t testing.TB, start Start) {
		_, a := attack2(t, start, instead(":path", "/attack HTTP/1.0"), nil)
		for _, h := range a.requests { // it may be refused
			assert.Equal(t, "/attack%20HTTP/1.0", h.target, "the origin would read another version (RFC 9113 §8.3.1)")
		}
	}},
	malformed("a_path_without_a_slash_is_refused", "RFC 9113 §8.3.1", instead(":path", "attack")),
	malformed("an_empty_path_is_refused", "RFC 9113 §8.3.1", instead(":path", "")),
	malformed("no_path_is_refused", "RFC 9113 §8.3.1", without(":path")),
	malformed("two_paths_are_refused", "RFC 9113 §8.3", append([]field{{":path", "/good"}}, get2("/attack")...)),
	malformed("a_path_behind_the_fields_is_refused", "RFC 9113 §8.3", append(without(":path"), field{"x", "y"}, field{":path", "/attack"})),
	malformed("a_pseudo-field_that_is_none_is_refused", "RFC 9113 §8.3", append([]field{{":evil", "x"}}, get2("/attack")...)),
	malformed("lines_in_the_method_are_refused", "RFC 9113 §8.2.1", instead(":method", "GET /smuggled HTTP/1.1\r\nHost: "+Host+"\r\n\r\nGET")),
	malformed("a_space_in_the_method_is_refused", "RFC 9110 §9.1", instead(":method", "GET /smuggled HTTP/1.1")),
	malformed("no_method_is_refused", "RFC 9113 §8.3.1", without(":method")),
	malformed("a_scheme_that_is_none_is_refused", "RFC 9113 §8.3.1", instead(":scheme", "https://evil.test/?")),
	malformed("lines_in_the_authority_are_refused", "RFC 9113 §8.2.1", instead(":authority", Host+splitting)),
	malformed("a_path_in_the_authority_is_refused", "RFC 9113 §8.3.1", instead(":authority", Host+"/smuggled")),
	{name: "another_host_than_the_authority_does_not_arrive", wire: func(t testing.TB, start Start) {
		_, a := attack2(t, start, more("host", "evil.test"), nil)
		for _, h := range a.requests { // it may be refused
			assert.Equal(t, Host, h.header.Get("Host"), "RFC 9113 §8.3.1")
		}
	}},
	malformed("connection_is_refused", "RFC 9113 §8.2.2", more("connection", "close")),
	malformed("keep-alive_is_refused", "RFC 9113 §8.2.2", more("keep-alive", "timeout=5")),
	malformed("proxy-connection_is_refused", "RFC 9113 §8.2.2", more("proxy-connection", "keep-alive")),
	malformed("upgrade_is_refused", "RFC 9113 §8.2.2", more("upgrade", "websocket")),
	malformed("te_of_something_but_trailers_is_refused", "RFC 9113 §8.2.2", more("te", "gzip")),
	malformedWith("transfer-encoding_is_refused", "the origin would read chunks where there are none (RFC 9113 §8.2.2)",
		append(instead(":method", "POST"), field{"transfer-encoding", "chunked"}), text2("0\r\n\r\n"+hidden)),
	malformedWith("transfer-encoding_beside_content-length_is_refused", "RFC 9113 §8.2.2",
		append(instead(":method", "POST"), field{"content-length", "3"}, field{"transfer-encoding", "chunked"}), text2("0\r\n")),
	malformedWith("less_content_than_its_length_is_refused", "RFC 9113 §8.1.1", append(instead(":method", "POST"), field{"content-length", "50"}), text2("hello")),
	malformedWith("more_content_than_its_length_is_refused", "RFC 9113 §8.1.1", append(instead(":method", "POST"), field{"content-length", "5"}), text2("hello"+hidden)),
	malformedWith("two_content-lengths_that_differ_are_refused", "RFC 9110 §8.6",
		append(instead(":method", "POST"), field{"content-length", "5"}, field{"content-length", "50"}), text2("hello")),
	malformed("a_name_in_capitals_is_refused", "RFC 9113 §8.2.1", more("X-Evil", "y")),
	malformed("a_name_with_a_colon_is_refused", "RFC 9113 §8.2.1", more("transfer-encoding: chunked\r\nx", "y")),
	malformed("a_name_with_a_space_is_refused", "RFC 9113 §8.2.1", more("transfer-encoding ", "chunked")),
	malformed("an_empty_name_is_refused", "RFC 9113 §8.2.1", more("", "y")),
	malformed("lines_in_a_value_are_refused", "RFC 9113 §8.2.1", more("x", splitting)),
	malformed("a_bare_LF_in_a_value_is_refused", "RFC 9113 §8.2.1", more("x", "y\ntransfer-encoding: chunked")),
	malformed("a_bare_CR_in_a_value_is_refused", "RFC 9113 §8.2.1", more("x", "y\rz")),
	malformed("NUL_in_a_value_is_refused", "RFC 9113 §8.2.1", more("x", "y\x00z")),
	malformed("CONNECT_is_refused", "this is no tunnel", []field{{":method", "CONNECT"}, {":authority", "127.0.0.1:22"}}),
	malformed("a_header_of_a_megabyte_is_refused", "its memory is the edge's (RFC 9113 §10.5.1)", more("x", strings.Repeat("a", 1<<20))),
}
