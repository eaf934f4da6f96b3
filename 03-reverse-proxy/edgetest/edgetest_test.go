package edgetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestHear sees that the recorder, on whose word everything rests, takes what is
// good, and nothing else.
func TestHear(t *testing.T) {
	for name, text := range map[string]string{
		"GET":      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"length":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"chunks":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
		"HTTP/1.0": "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
	} {
		h, err := hear(newReader(text))
		assert.NoError(t, err, name)
		assert.Contains(t, []string{"", "hello"}, h.body, name)
	}
	for name, text := range map[string]string{
		"both":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"sign":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
		"coding":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		"bare LF":       "GET / HTTP/1.1\nHost: a\r\n\r\n",
		"bare CR":       "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
		"fold":          "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
		"space":         "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"no Host":       "GET / HTTP/1.1\r\n\r\n",
		"two Hosts":     "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"target":        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
		"chunk's end":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloxx0\r\n\r\n",
		"chunk's size":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
		"chunk's count": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
	} {
		_, err := hear(newReader(text))
		var strict *strictError
		assert.ErrorAs(t, err, &strict, name)
	}
	_, err := hear(newReader("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel"))
	assert.ErrorContains(t, err, "unexpected EOF", "half a request is no fault: the edge gave it up")
}
