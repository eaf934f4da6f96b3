package edgetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// streaming is that what one side has sent reaches the other while more is to come.
var streaming = []leaf{
	{name: "an_answer_arrives_while_the_origin_still_writes", page: func(t testing.TB, s *site) {
		stream(t, s, "application/json")
	}},
	{name: "an_answer_that_could_be_compressed_arrives_while_the_origin_still_writes", page: func(t testing.TB, s *site) {
		stream(t, s, "text/event-stream", "Accept-Encoding: gzip")
	}},
	{name: "content_arrives_while_the_client_still_sends", page: func(t testing.TB, s *site) {
		pieces := make(chan string, 10)
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			for in := bufio.NewReader(r.Body); ; {
				line, err := in.ReadString('\n')
				if err != nil {
					break
				}
				pieces <- line
			}
			_, _ = io.WriteString(w, "well")
		})
		out, in := io.Pipe()
		defer in.Close()
		req := p.request(t, http.MethodPost, out)
		answered := make(chan string, 1)
		go func() {
			resp, err := s.client.Do(req)
			if err != nil {
				answered <- err.Error()
				return
			}
			answered <- finish(resp).body
		}()
		for _, piece := range []string{"one\n", "two\n"} {
			_, err := io.WriteString(in, piece)
			require.NoError(t, err)
			assert.Equal(t, piece, wait(t, pieces, "the client sent %q, and waits before it sends more", piece))
		}
		require.NoError(t, in.Close())
		assert.Equal(t, "well", wait(t, answered, "the answer"))
	}},
}

// stream has the origin write a piece only when the client has read the one before.
func stream(t testing.TB, s *site, contentType string, fields ...string) {
	t.Helper()
	next := make(chan struct{})
	p := s.page(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no") // nginx waits for it
		for _, piece := range []string{"data: one\n\n", "data: two\n\n"} {
			_, _ = io.WriteString(w, piece)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	resp, err := s.client.Do(p.request(t, http.MethodGet, nil, fields...))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := decoded(resp)
	require.NoError(t, err)
	for _, piece := range []string{"data: one\n\n", "data: two\n\n"} {
		got := make(chan string, 1)
		go func() {
			buf := make([]byte, len(piece))
			n, _ := io.ReadFull(body, buf)
			got <- string(buf[:n])
		}()
		require.Equal(t, piece, wait(t, got, "the origin flushed %q, and the edge keeps it (golang/go #41642)", piece))
		next <- struct{}{}
	}
}

// upgrading is what becomes of a connection that stops to be HTTP: WebSocket's
// is one (RFC 6455 §4, RFC 9110 §7.8).
var upgrading = []leaf{
	{name: "octets_pass_both_ways", page: func(t testing.TB, s *site) {
		p := s.page(hijack(func(c net.Conn, in *bufio.Reader) { _, _ = io.Copy(c, in) }))
		c := upgrade(t, s, p, "")
		for _, text := range []string{"hello", "again"} {
			c.send(text)
			got := make([]byte, len(text))
			_, err := io.ReadFull(c.in, got)
			require.NoError(t, err)
			assert.Equal(t, text, string(got))
		}
	}},
	{name: "octets_right_behind_the_101_arrive", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, _ *http.Request) {
			c, in, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, switching+"welcome") // in one packet
			_, _ = io.Copy(io.Discard, in)
		})
		c := upgrade(t, s, p, "")
		got := make([]byte, len("welcome"))
		_, err := io.ReadFull(c.in, got)
		require.NoError(t, err, "what came in one packet with the 101 is lost (golang/go #80875)")
		assert.Equal(t, "welcome", string(got))
	}},
	{name: "octets_right_behind_the_request_arrive", page: func(t testing.TB, s *site) {
		p := s.page(hijack(func(c net.Conn, in *bufio.Reader) { _, _ = io.Copy(c, in) }))
		c := upgrade(t, s, p, "early")
		got := make([]byte, len("early"))
		_, err := io.ReadFull(c.in, got)
		require.NoError(t, err, "what came in one packet with the request is lost (golang/go #80875)")
		assert.Equal(t, "early", string(got))
	}},
	{name: "a_client_that_has_said_all_still_hears", page: func(t testing.TB, s *site) {
		p := s.page(hijack(func(c net.Conn, in *bufio.Reader) {
			all, _ := io.ReadAll(in) // up to the client's end
			_, _ = fmt.Fprintf(c, "you said %s", all)
		}))
		c := upgrade(t, s, p, "")
		c.send("hello")
		require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
		all, err := io.ReadAll(c.in)
		require.NoError(t, err)
		assert.Equal(t, "you said hello", string(all), "a connection ends on each side by itself (RFC 9293 §3.6; golang/go #35892)")
	}},
	{name: "an_origin_that_has_said_all_still_hears", page: func(t testing.TB, s *site) {
		heard := make(chan string, 1)
		p := s.page(hijack(func(c net.Conn, in *bufio.Reader) {
			_, _ = io.WriteString(c, "speak")
			_ = c.(*net.TCPConn).CloseWrite()
			all, _ := io.ReadAll(in)
			heard <- string(all)
		}))
		c := upgrade(t, s, p, "")
		all, err := io.ReadAll(c.in)
		require.NoError(t, err)
		assert.Equal(t, "speak", string(all))
		c.send("hello")
		_ = c.Conn.(*net.TCPConn).CloseWrite() // an edge that closed both sides makes it fail
		assert.Equal(t, "hello", wait(t, heard, "the client's word after the origin's last"))
	}},
	{name: "a_client_that_leaves_ends_the_origin's_side", page: func(t testing.TB, s *site) {
		ended := make(chan struct{})
		p := s.page(hijack(func(c net.Conn, in *bufio.Reader) {
			_, _ = io.Copy(io.Discard, in)
			close(ended)
		}))
		c := upgrade(t, s, p, "")
		require.NoError(t, c.Conn.(*net.TCPConn).SetLinger(0)) // a reset, not an end
		require.NoError(t, c.Close())
		wait(t, ended, "the client is gone, and the connection to the origin stays open: each such is a leak")
	}},
	{name: "an_upgrade_that_is_refused_is_an_answer_like_others", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUpgradeRequired)
			_, _ = io.WriteString(w, "another version")
		})
		c := dial(t, s.edge)
		c.send(upgradeRequest(p.path))
		got := c.final(t, "GET")
		assert.Equal(t, "426 another version", fmt.Sprint(got.StatusCode, " ", got.body))
	}},
	{name: "HTTP/2_without_TLS_is_not_switched_to", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		c := dial(t, s.edge)
		c.send(strings.NewReplacer("websocket", "h2c", "Connection: Upgrade", "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA").Replace(upgradeRequest(p.path)))
		assert.Equal(t, "well", c.final(t, "GET").body)
		got := wait(t, requests, "the request at the origin")
		assert.Empty(t, got.Header["Upgrade"], "behind it, requests would reach the origin that the edge has never seen")
	}},
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// hijack is an origin that changes to another protocol, and speaks it by talk.
func hijack(talk func(c net.Conn, in *bufio.Reader)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			http.Error(w, fmt.Sprintf("the upgrade did not arrive: %v", r.Header), http.StatusBadRequest)
			return
		}
		c, in, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * deadline))
		if _, err := io.WriteString(c, switching); err == nil {
			talk(c, in.Reader)
		}
	}
}

func upgradeRequest(path string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, Host)
}

// upgrade asks p for another protocol, sends early behind that at once, and
// returns the connection behind the 101.
func upgrade(t testing.TB, s *site, p *page, early string) *conn {
	t.Helper()
	c := dial(t, s.edge)
	c.send(upgradeRequest(p.path) + early)
	resp, err := http.ReadResponse(c.in, nil)
	require.NoError(t, err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		require.Equal(t, 101, resp.StatusCode, finish(resp).body)
	}
	require.Equal(t, "websocket", resp.Header.Get("Upgrade"), "RFC 9110 §7.8")
	return c
}
