//go:build ignore

// It counts down when the body has been read, and again when it is closed, as
// net/http demands that it is. The count falls below zero, and the backend
// looks less busy than an idle one.
//
//workshop:caught-by TestCount/counts_until_the_body_was_read_to_its_end
//workshop:says that is one End, not two
package leastconn

import (
	"io"
	"net/http"
)

func watch(body io.ReadCloser, over func()) io.ReadCloser {
	if body == nil || body == http.NoBody {
		over()
		return body
	}
	if conn, ok := body.(io.ReadWriteCloser); ok {
		return upgraded{conn, over}
	}
	return streamed{body, over}
}
