package edgetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forwarding is what goes on, what ends at the edge, and what the edge says itself.
var forwarding = []leaf{
	{name: "method_path_query_and_content_arrive_as_they_were_sent", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		req := p.request(t, http.MethodPut, strings.NewReader("one soup"))
		req.URL.Path, req.URL.RawQuery = p.path+"a b", "q=1&q=%E2%82%AC&empty="
		resp, err := s.client.Do(req)
		require.NoError(t, err)
		assert.Equal(t, "well", finish(resp).body)
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "PUT "+p.path+"a%20b?q=1&q=%E2%82%AC&empty=", got.Method+" "+got.RequestURI)
		assert.Equal(t, "one soup", got.body)
	}},
	{name: "an_encoded_slash_is_not_decoded", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		req := p.request(t, http.MethodGet, nil)
		req.URL.Path, req.URL.RawPath = p.path+"a/b", p.path+"a%2Fb"
		resp, err := s.client.Do(req)
		require.NoError(t, err)
		if a := finish(resp); a.StatusCode == http.StatusBadRequest {
			return // it may be refused: what it means is anybody's guess
		}
		assert.Equal(t, p.path+"a%2Fb", wait(t, requests, "the request at the origin").RequestURI, "decoded on the way, it means another file (RFC 3986 §2.2)")
	}},
	{name: "the_host_is_the_client's", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t)
		assert.Equal(t, Host, wait(t, requests, "the request at the origin").Host, "origins with many names choose by Host (RFC 9110 §7.2)")
	}},
	{name: "other_fields_pass_to_the_origin_on_all_their_lines", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t, "X-Table: 5", "X-Table: 6", "Cookie: a=b")
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "5, 6", strings.Join(got.Header["X-Table"], ", "))
		assert.Equal(t, "a=b", got.Header.Get("Cookie"))
	}},
	{name: "other_fields_pass_to_the_client_on_all_their_lines", page: func(t testing.TB, s *site) {
		got := s.page(says("well", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Cook: Ann", "Cache-Control: no-store")).get(t)
		assert.Equal(t, []string{"a=1", "b=2"}, got.Header["Set-Cookie"], "cookies cannot be joined to one line (RFC 6265 §3)")
		assert.Equal(t, "Ann", got.Header.Get("X-Cook"))
	}},
	{name: "status_and_content_of_an_error_pass", page: func(t testing.TB, s *site) {
		got := s.page(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "short and stout")
		}).get(t)
		assert.Equal(t, "418 short and stout", fmt.Sprint(got.StatusCode, " ", got.body))
	}},
	{name: "fields_that_connection_names_do_not_reach_the_origin", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t, "Connection: X-Hop", "X-Hop: mine", "X-End: yours")
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "yours", got.Header.Get("X-End"))
		assert.NotContains(t, got.Header, "X-Hop", "Connection named it: it is for the next hop alone (RFC 9110 §7.6.1)")
	}},
	{name: "fields_that_connection_names_do_not_reach_the_client", page: func(t testing.TB, s *site) {
		got := s.page(says("well", "Connection: X-Hop", "X-Hop: mine", "X-End: yours", "Cache-Control: no-store")).get(t)
		assert.Equal(t, "yours", got.Header.Get("X-End"))
		assert.NotContains(t, got.Header, "X-Hop", "Connection named it: it is for the next hop alone (RFC 9110 §7.6.1)")
	}},
	{name: "keep-alive_does_not_reach_the_origin", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t, "Keep-Alive: timeout=5", "X-End: yours")
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "yours", got.Header.Get("X-End"))
		assert.NotContains(t, got.Header, "Keep-Alive", "it is about the client's connection (RFC 9110 §7.6.1)")
	}},
	{name: "proxy-connection_does_not_reach_the_origin", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t, "Proxy-Connection: keep-alive", "X-End: yours")
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "yours", got.Header.Get("X-End"))
		assert.NotContains(t, got.Header, "Proxy-Connection", "it is about the client's connection (RFC 9110 §7.6.1)")
	}},
	{name: "keep-alive_does_not_reach_the_client", page: func(t testing.TB, s *site) {
		got := s.page(says("well", "Keep-Alive: timeout=77", "X-End: yours", "Cache-Control: no-store")).get(t)
		assert.Equal(t, "yours", got.Header.Get("X-End"))
		assert.NotContains(t, got.Header.Values("Keep-Alive"), "timeout=77", "it is about the origin's connection (RFC 9110 §7.6.1)")
	}},
	{name: "a_made-up_X-Forwarded-For_is_not_believed", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 203.0.113.10")
		got := strings.Join(wait(t, requests, "the request at the origin").Header["X-Forwarded-For"], ", ")
		assert.Equal(t, "127.0.0.1", got, "anybody can write that field: the client at 127.0.0.1 claimed to be 203.0.113.9")
	}},
	{name: "a_made-up_Forwarded_is_not_believed", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t, "Forwarded: for=203.0.113.9;proto=https")
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "127.0.0.1", got.Header.Get("X-Forwarded-For"))
		assert.NotContains(t, strings.Join(got.Header["Forwarded"], ", "), "203.0.113.9", "anybody can write that field (RFC 7239 §8.1)")
	}},
	{name: "connection_cannot_take_away_X-Forwarded-For", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		p.get(t, "Connection: X-Forwarded-For", "X-Forwarded-For: 203.0.113.9")
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "127.0.0.1", got.Header.Get("X-Forwarded-For"), "fields that the edge adds are not the client's to remove")
	}},
	{name: "HEAD_has_a_length_and_no_content", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "8")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = io.WriteString(w, "one soup")
		})
		c := dial(t, s.edge)
		c.send(fmt.Sprintf("HEAD %[1]s HTTP/1.1\r\nHost: %[2]s\r\n\r\n", p.path, Host))
		got := c.final(t, "HEAD")
		assert.Equal(t, "8", got.Header.Get("Content-Length"))
		c.send(fmt.Sprintf("GET %[1]s HTTP/1.1\r\nHost: %[2]s\r\n\r\n", p.path, Host))
		assert.Equal(t, "one soup", c.final(t, "GET").body, "behind an answer to HEAD comes the next answer at once (RFC 9110 §9.3.2)")
	}},
	{name: "204_has_no_content", page: func(t testing.TB, s *site) {
		bodiless(t, s, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 204)
	}},
	{name: "304_has_no_content", page: func(t testing.TB, s *site) {
		bodiless(t, s, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(http.StatusNotModified)
		}, 304)
	}},
	{name: "100_comes_before_the_content_is_sent", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		c := dial(t, s.edge)
		c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n", p.path, Host))
		require.Equal(t, 100, c.answer(t, "POST").StatusCode, "the client waits to be asked for its content (RFC 9110 §10.1.1)")
		c.send("one soup")
		assert.Equal(t, "well", c.answer(t, "POST").body, "one 100, and then the answer")
		assert.Equal(t, "one soup", wait(t, requests, "the request at the origin").body)
	}},
	{name: "content_that_the_origin_refuses_is_not_asked_for", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
		c := dial(t, s.edge)
		c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 8000000\r\nExpect: 100-continue\r\n\r\n", p.path, Host))
		assert.Equal(t, 413, c.answer(t, "POST").StatusCode, "to say 100 is the origin's affair (RFC 9110 §10.1.1)")
	}},
	{name: "103_reaches_the_client", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</app.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "well")
		})
		var hints []string
		req := p.request(t, http.MethodGet, nil)
		ctx, cancel := context.WithTimeout(req.Context(), deadline) // one that takes it for the answer itself never ends
		defer cancel()
		req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, " ", h.Get("Link")))
				return nil
			},
		}))
		resp, err := s.client.Do(req)
		require.NoError(t, err)
		assert.Equal(t, "well", finish(resp).body)
		assert.Equal(t, []string{"103 </app.css>; rel=preload"}, hints, "a proxy must forward 1xx (RFC 9110 §15.2)")
	}},
	{name: "content_of_8_MB_passes_up", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		content := bytes.Repeat([]byte("soup, "), 8<<20/6)
		assert.Equal(t, "well", p.do(t, http.MethodPost, bytes.NewReader(content)).body)
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, sha256.Sum256(content), sha256.Sum256([]byte(got.body)), "%d octets were sent, and %d came", len(content), len(got.body))
	}},
	{name: "content_of_8_MB_passes_down", page: func(t testing.TB, s *site) {
		content := strings.Repeat("soup, ", 8<<20/6)
		got := s.page(says(content, "Cache-Control: no-store", "Content-Type: application/octet-stream")).get(t)
		require.NoError(t, got.err)
		assert.Equal(t, sha256.Sum256([]byte(content)), sha256.Sum256([]byte(got.body)), "%d octets were sent, and %d came", len(content), len(got.body))
	}},
	{name: "trailers_of_an_answer_arrive", page: func(t testing.TB, s *site) {
		got := s.page(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "well")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Sum", "7")
		}).get(t, "TE: trailers")
		assert.Equal(t, "well", got.body)
		assert.Equal(t, "7", got.Trailer.Get("X-Sum"), "RFC 9110 §6.5")
	}},
	{name: "trailers_of_a_request_arrive", page: func(t testing.TB, s *site) {
		p, requests := s.echo()
		req := p.request(t, http.MethodPost, io.MultiReader(strings.NewReader("one "), strings.NewReader("soup")))
		req.Trailer = http.Header{"X-Sum": {"7"}}
		resp, err := s.client.Do(req)
		require.NoError(t, err)
		finish(resp)
		got := wait(t, requests, "the request at the origin")
		assert.Equal(t, "one soup", got.body)
		assert.Equal(t, "7", got.Trailer.Get("X-Sum"), "RFC 9110 §6.5")
	}},
	{name: "a_client_that_leaves_takes_its_request_along", page: func(t testing.TB, s *site) {
		came, gone := make(chan struct{}), make(chan struct{})
		p := s.page(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then a server learns that a client left
			close(came)
			<-r.Context().Done() // Close of the site ends it, too
			close(gone)
		})
		req := p.request(t, http.MethodPost, strings.NewReader("one soup"))
		ctx, leave := context.WithCancel(req.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			if resp, err := s.client.Do(req.WithContext(ctx)); err == nil {
				finish(resp)
			}
		}()
		wait(t, came, "the request at the origin")
		leave()
		<-left
		wait(t, gone, "the client left, and the origin goes on to work for nobody")
	}},
	{name: "an_answer_that_breaks_off_before_its_length_is_not_whole", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "8")
			_, _ = io.WriteString(w, "one")
			panic(http.ErrAbortHandler)
		})
		got := p.cut(t)
		assert.Error(t, got.err, "of 8 octets came 3, and the client was not told: it took %q for all", got.body)
	}},
	{name: "an_answer_that_breaks_off_before_its_last_chunk_is_not_whole", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "one")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		got := p.cut(t)
		assert.Error(t, got.err, "the last chunk never came, and the client was not told: it took %q for all (RFC 9112 §8)", got.body)
	}},
	{name: "an_origin_that_hangs_up_is_502", page: func(t testing.TB, s *site) {
		p := s.page(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		assert.Equal(t, http.StatusBadGateway, p.do(t, http.MethodPost, strings.NewReader("one soup")).StatusCode)
		assert.EqualValues(t, 1, p.asked.Load(), "an order that may have been taken is not sent again (RFC 9110 §9.2.2)")
	}},
	{name: "an_origin_that_is_not_there_is_5xx", wire: func(t testing.TB, start Start) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		dead := ln.Addr().String()
		require.NoError(t, ln.Close())
		c := dial(t, start(t, dead))
		c.send("GET / HTTP/1.1\r\nHost: " + Host + "\r\n\r\n")
		assert.Contains(t, []int{502, 503, 504}, c.final(t, "GET").StatusCode)
	}},
}

// cut is get, where the client may get no answer at all. It has a connection of
// its own: net/http's client asks again where one that was used before ends.
func (p *page) cut(t testing.TB) answer {
	t.Helper()
	c := dial(t, p.s.edge)
	c.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", p.path, Host))
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return answer{err: err}
	}
	if resp.StatusCode >= 500 {
		return answer{Response: resp, err: fmt.Errorf("status %d", resp.StatusCode)} // the edge had not begun yet
	}
	return finish(resp)
}

// bodiless asks twice over one connection: content behind the first answer would
// be taken for the second one.
func bodiless(t testing.TB, s *site, h http.HandlerFunc, status int) {
	t.Helper()
	p := s.page(h)
	c := dial(t, s.edge)
	for range 2 {
		c.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nIf-None-Match: \"1\"\r\n\r\n", p.path, Host))
		got := c.final(t, "GET")
		require.Equal(t, status, got.StatusCode)
		require.Empty(t, got.body)
	}
}
