package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"clicktocode.example/03-reverse-proxy/solution/hopbyhop"
)

// upgradeOf is the protocol, or the list of them, that r wants to change to; ""
// if it wants none, or may not.
func upgradeOf(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor == 0 || r.ContentLength != 0 || !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade") {
		return ""
	}
	// Inside of h2c, requests would go past routes and limits (golang/go #80416).
	if lines := r.Header["Upgrade"]; !httpguts.HeaderValuesContainsToken(lines, "h2c") {
		return strings.Join(lines, ", ")
	}
	return ""
}

// tunnel passes on resp, a 101, and then bytes, both ways. wanted is what r asked
// for.
func (f *Forward) tunnel(w http.ResponseWriter, r *http.Request, resp *http.Response, wanted string) {
	defer resp.Body.Close() // on each way out, or the backend's connection stays for ever
	got := strings.Join(resp.Header["Upgrade"], ", ")
	backend, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !httpguts.HeaderValuesContainsToken([]string{wanted}, got) {
		f.c.Fail(w, r, fmt.Errorf("proxy: the backend changes to %q, asked for %q", got, wanted))
		return
	}
	client, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		f.c.Fail(w, r, fmt.Errorf("proxy: upgrade to %q: %w", got, err))
		return
	}
	defer client.Close()
	cut := func() {
		_ = client.Close()
		_ = backend.Close()
	}
	defer context.AfterFunc(r.Context(), cut)()
	idle := time.AfterFunc(f.c.TunnelIdle, cut)
	defer idle.Stop()

	h := w.Header()
	hopbyhop.Copy(h, resp.Header)
	h.Del("Content-Length")
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{got}
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(rw)
	_, _ = rw.WriteString("\r\n")
	if rw.Flush() != nil { // which tells of the others' errors, too
		return
	}

	// What the client sent right behind its request is in net/http's buffer. All
	// else is read from the connection: net/http's reader would take the client's
	// end for its departure, and make r's context done.
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	pass := func(dst io.Writer, src io.Reader) {
		if !copyAwake(dst, src, func() { idle.Reset(f.c.TunnelIdle) }) || !closeWrite(dst) {
			cut()
		}
	}
	var up sync.WaitGroup
	up.Go(func() { pass(backend, io.MultiReader(bytes.NewReader(early), client)) })
	pass(client, backend)
	up.Wait()
}

// copyAwake copies src to dst, up to src's end, and calls awake for each piece.
// It reports whether it came that far.
func copyAwake(dst io.Writer, src io.Reader, awake func()) bool {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 {
			awake()
			if _, err := dst.Write(buf[:n]); err != nil {
				return false
			}
		}
		if err != nil {
			return err == io.EOF
		}
	}
}

// closeWrite tells c that nothing more comes, and goes on to listen. If c cannot
// be told, it would wait for ever.
func closeWrite(c any) bool {
	half, ok := c.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}
