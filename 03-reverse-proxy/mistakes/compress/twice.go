//go:build ignore

// It does not look whether the answer has Content-Encoding. What the server behind
// has compressed is compressed once more: it gets longer, and the client, which is
// told of one coding, gets garbage.
//
//workshop:caught-by TestWhich/nothing_that_is_compressed_already
//workshop:says Twice is longer, not shorter
package compress

import "net/http"

func (c *compressor) may(status int, h http.Header) bool {
	switch status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent, http.StatusNotModified:
		return false
	}
	if status < 200 || h.Get("Content-Range") != "" || noTransform(h) {
		return false
	}
	if n, ok := length(h); ok && n < int64(c.minSize) {
		return false
	}
	return c.worth(h.Get("Content-Type"))
}
