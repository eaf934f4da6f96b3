package hostile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// answerWithin is how long a Request may take to be answered.
const answerWithin = 10 * time.Second

// Client sends what net/http's client would not, one Request after the other over one
// connection for as long as the server keeps it. It is for one goroutine.
type Client struct {
	Addr string // host and port of the server

	conn net.Conn
	from *bufio.Reader
}

// Close closes the connection. The next Send makes another.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Send sends r, and returns its answer with the whole body. After an error the next
// Send makes another connection.
func (c *Client) Send(r Request) (answer *http.Response, body []byte, err error) {
	defer func() {
		if err != nil || answer.Close {
			c.Close()
		}
	}()
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.Addr, answerWithin)
		if err != nil {
			return nil, nil, err
		}
		c.conn, c.from = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(answerWithin))
	_, _ = c.conn.Write(r.Text()) // refused before its end, perhaps: the answer is there
	answer, err = http.ReadResponse(c.from, &http.Request{Method: r.Method})
	if err != nil {
		return nil, nil, err
	}
	body, err = io.ReadAll(answer.Body)
	return answer, body, err
}

// Text is r as it is sent.
func (r Request) Text() []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: shop.test\r\n", r.Method, r.Target)
	for _, f := range r.Header {
		fmt.Fprintf(&text, "%s: %s\r\n", f.Name, f.Value)
	}
	switch {
	case r.Chunked:
		text.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := r.Body; len(rest) > 0; {
			n := min(len(rest), 4096)
			fmt.Fprintf(&text, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		text.WriteString("0\r\n\r\n")
	case r.Body != nil:
		fmt.Fprintf(&text, "Content-Length: %d\r\n\r\n%s", len(r.Body), r.Body)
	default:
		text.WriteString("\r\n")
	}
	return text.Bytes()
}
