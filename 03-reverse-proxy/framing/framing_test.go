package framing_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/handoff"
	"clicktocode.example/03-reverse-proxy/framing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

const get = "GET / HTTP/1.1\r\nHost: shop.test\r\n"

// ask is what follows each request: it must be answered, or never be read.
const ask = "GET /next HTTP/1.1\r\nHost: shop.test\r\n\r\n"

func TestPasses(t *testing.T) {
	for name, request := range map[string]string{
		"a_GET":                         get + "\r\n",
		"a_GET_of_HTTP_1_0":             "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"an_absolute_target":            "GET http://shop.test/menu?a=b HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"a_length":                      "POST / HTTP/1.1\r\nHost: shop.test\r\ncontent-LENGTH: \t4 \r\n\r\nsoup",
		"a_length_of_0":                 "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n\r\n",
		"chunks":                        "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nso\r\n02;a=\"b c\"\r\nup\r\n0\r\n\r\n",
		"chunks_that_look_like_another": "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n1C\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\r\n0\r\n\r\n",
		"a_trailer":                     "POST / HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nsoup\r\n0\r\nX-Sum: 7\r\n\r\n",
		"fields_of_any_text":            get + "X-Empty:\r\nX-Obs: \xff\xfe\t!\r\nX_!#$%&'*+-.^`|~9: a\r\n\r\n",
	} {
		for _, size := range []int{1, 3, 4096} {
			t.Run(fmt.Sprintf("%s_in_pieces_of_%d", name, size), func(t *testing.T) {
				s := serve(t, nil)
				answers := s.send(t, request+ask, size)
				require.Len(t, answers, 2, "the request, and the next one on the same connection: %q", answers)
				assert.Equal(t, "200", answers[0][:3])
				assert.Equal(t, "200 GET /next 0", answers[1])
				assert.Empty(t, s.reason())
			})
		}
	}
}

func TestRefuses(t *testing.T) {
	post := "POST / HTTP/1.1\r\nHost: shop.test\r\n"
	chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
	for name, request := range map[string]string{
		"coding_and_length":            post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"length_and_coding":            post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"two_lengths":                  post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nsoups",
		"the_same_length_twice":        post + "Content-Length: 4\r\ncontent-length: 4\r\n\r\nsoup",
		"a_list_of_lengths":            post + "Content-Length: 4, 4\r\n\r\nsoup",
		"a_length_with_a_sign":         post + "Content-Length: +4\r\n\r\nsoup",
		"a_negative_length":            post + "Content-Length: -4\r\n\r\nsoup",
		"a_length_that_is_none":        post + "Content-Length:\r\n\r\n",
		"a_length_in_hex":              post + "Content-Length: 0x4\r\n\r\nsoup",
		"a_length_that_overflows":      post + "Content-Length: 18446744073709551620\r\n\r\nsoup",
		"a_length_with_much_before_it": post + "Content-Length: 00000000000000000000000000000000000004\r\n\r\nsoup",
		"another_coding":               post + "Transfer-Encoding: gzip\r\n\r\n",
		"two_codings":                  post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"identity":                     post + "Transfer-Encoding: identity\r\n\r\n",
		"chunked_twice":                post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked_with_a_tail":          post + "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
		"chunked_behind_a_VT":          post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"a_coding_that_is_empty":       post + "Transfer-Encoding:\r\n\r\n",
		"chunks_in_HTTP_1_0":           "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"no_host":                      "GET / HTTP/1.1\r\n\r\n",
		"two_hosts":                    get + "Host: evil.test\r\n\r\n",
		"two_hosts_in_HTTP_1_0":        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
		"a_bare_LF":                    "GET / HTTP/1.1\r\nHost: shop.test\nX: 1\r\n\r\n",
		"a_bare_LF_in_the_first_line":  "GET / HTTP/1.1\nHost: shop.test\r\n\r\n",
		"a_bare_LF_at_the_end":         get + "\n",
		"a_bare_CR":                    get + "X: a\rb\r\n\r\n",
		"a_bare_CR_in_the_first_line":  "GET / HTTP/1.1\r \r\nHost: shop.test\r\n\r\n",
		"a_bare_CR_before_the_end":     get + "\r\r\n",
		"a_NUL":                        get + "X: a\x00b\r\n\r\n",
		"a_NUL_in_the_target":          "GET /\x00 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"a_folded_line":                get + "X: a\r\n b\r\n\r\n",
		"a_folded_first_line":          "GET / HTTP/1.1\r\n Host: shop.test\r\n\r\n",
		"a_space_before_the_colon":     post + "Content-Length : 4\r\n\r\nsoup",
		"a_line_without_a_colon":       get + "X\r\n\r\n",
		"a_name_that_is_empty":         get + ": a\r\n\r\n",
		"a_name_that_is_no_token":      get + "X(: a\r\n\r\n",
		"a_method_that_is_no_token":    "G(T / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"a_method_without_end":         strings.Repeat("G", 40) + " / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"two_spaces":                   "GET  / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"a_space_in_the_target":        "GET /a b HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"a_space_behind_the_version":   "GET / HTTP/1.1 \r\nHost: shop.test\r\n\r\n",
		"a_tab":                        "GET\t/ HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"a_target_beyond_ASCII":        "GET /\xc3\xa9 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"no_version":                   "GET /\r\n\r\n",
		"another_version":              "GET / HTTP/1.2\r\nHost: shop.test\r\n\r\n",
		"HTTP_2_without_TLS":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"an_empty_line":                "\r\n" + get + "\r\n",
		"TLS":                          "\x16\x03\x01\x02\x00",

		"a_chunk_size_with_a_sign":         chunked + "+4\r\nsoup\r\n0\r\n\r\n",
		"a_chunk_size_with_0x":             chunked + "0x4\r\nsoup\r\n0\r\n\r\n",
		"a_chunk_size_that_is_none":        chunked + "\r\nsoup\r\n0\r\n\r\n",
		"a_chunk_size_that_overflows":      chunked + "10000000000000004\r\nsoup\r\n0\r\n\r\n",
		"a_chunk_size_with_a_space":        chunked + "4 \r\nsoup\r\n0\r\n\r\n",
		"a_chunk_size_with_a_bare_LF":      chunked + "4\nsoup\r\n0\r\n\r\n",
		"a_chunk_extension_with_a_bare_LF": chunked + "4;a\nsoup\r\n0\r\n\r\n",
		"a_chunk_extension_with_a_bare_CR": chunked + "4;a\rb\r\nsoup\r\n0\r\n\r\n",
		"a_chunk_extension_with_a_NUL":     chunked + "4;a\x00\r\nsoup\r\n0\r\n\r\n",
		"a_chunk_that_is_longer":           chunked + "4\r\nsoups\r\n0\r\n\r\n",
		"a_chunk_that_ends_in_LF":          chunked + "4\r\nsoup\n0\r\n\r\n",
		"a_chunk_that_ends_in_CR":          chunked + "4\r\nsoup\r0\r\n\r\n",
		"a_length_in_the_trailer":          chunked + "0\r\nContent-Length: 4\r\n\r\n",
		"a_coding_in_the_trailer":          chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a_folded_trailer":                 chunked + "0\r\nX: a\r\n b\r\n\r\n",
		"a_bare_LF_in_the_trailer":         chunked + "0\r\nX: a\n\r\n",
		"a_bare_LF_behind_the_trailer":     chunked + "0\r\n\n",
		"a_bare_CR_behind_the_trailer":     chunked + "0\r\n\rX\r\n",
	} {
		for _, size := range []int{1, 4096} {
			t.Run(fmt.Sprintf("%s_in_pieces_of_%d", name, size), func(t *testing.T) {
				s := serve(t, nil)
				answers := s.send(t, ask+request+ask+ask, size)
				require.NotEmpty(t, answers)
				assert.Equal(t, "200 GET /next 0", answers[0], "what came before is answered")
				for _, answer := range answers[1:] {
					assert.Equal(t, "400", answer[:3], "what was refused is 400, and what came behind it is never read: %q", answers)
				}
				assert.LessOrEqual(t, len(answers), 2) // net/http closes at once: a client that still writes may not see the 400
				assert.NotEmpty(t, s.reason())
			})
		}
	}
}

func TestUpgrade(t *testing.T) {
	const request = get + "Connection: Upgrade\r\nUpgrade: chat\r\n\r\n"
	for _, size := range []int{1, 4096} {
		t.Run(fmt.Sprintf("passes_what_is_no_HTTP_in_pieces_of_%d", size), func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				conn, rw, err := http.NewResponseController(w).Hijack()
				if !assert.NoError(t, err) {
					return
				}
				defer conn.Close()
				io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
				early, _ := rw.Reader.Peek(rw.Reader.Buffered())
				text, err := io.ReadAll(io.MultiReader(bytes.NewReader(early), conn))
				assert.NoError(t, err)
				conn.Write(bytes.ToUpper(text))
			})
			conn := s.dial(t)
			go write(conn, request+"hello\n\x00", size)
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			buf := make([]byte, 7)
			time.AfterFunc(50*time.Millisecond, func() { conn.(*net.TCPConn).CloseWrite() })
			_, err = io.ReadFull(in, buf)
			require.NoError(t, err)
			assert.Equal(t, "HELLO\n\x00", string(buf))
		})

		t.Run(fmt.Sprintf("ends_the_connection_where_the_answer_is_no_101_in_pieces_of_%d", size), func(t *testing.T) {
			for _, more := range []string{"", "Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"} {
				s := serve(t, nil)
				answers := s.send(t, ask+strings.Replace(request, "Upgrade: chat\r\n", "Upgrade: chat\r\n"+more, 1)+ask+ask, size)
				require.NotEmpty(t, answers)
				assert.Equal(t, "200 GET /next 0", answers[0])
				assert.Len(t, answers, 2, "%s: what comes behind it is never read as HTTP: %q", more, answers)
			}
		})
	}

	t.Run("is_none_in_HTTP_1_0", func(t *testing.T) {
		s := serve(t, nil)
		answers := s.send(t, "GET / HTTP/1.0\r\nConnection: keep-alive\r\nUpgrade: chat\r\n\r\nG(T / HTTP/1.1\r\n\r\n"+ask, 4096)
		require.Len(t, answers, 2)
		assert.Equal(t, "400", answers[1][:3], "the guard is still there")
	})
}

func TestRefusal(t *testing.T) {
	t.Run("does_not_cut_the_answer_before_it", func(t *testing.T) {
		begun, end := make(chan bool), make(chan bool)
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			select {
			case <-r.Context().Done():
				t.Error("the request was cancelled by what came behind it")
			case <-end:
			}
		})
		conn := s.dial(t)
		io.WriteString(conn, get+"\r\nG(T / HTTP/1.1\r\n\r\n"+strings.Repeat("x", 10_000))
		<-begun
		time.Sleep(20 * time.Millisecond) // for what is wrong to happen
		end <- true
		in := bufio.NewReader(conn)
		for _, want := range []int{200, 400} {
			resp, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			io.Copy(io.Discard, resp.Body)
			assert.Equal(t, want, resp.StatusCode)
		}
	})
}

// TestTLS is the guard where it stands: between TLS and http.Server.
func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	server := handoff.New(&http.Server{
		ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				fmt.Fprint(w, r.Proto, " ", r.TLS != nil)
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if !assert.NoError(t, err) {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\nbye")
			assert.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
			text, err := io.ReadAll(conn)
			assert.NoError(t, err)
			assert.Equal(t, "good night", string(text))
		}),
	}, &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}})
	defer server.Close()
	server.Wrap = func(conn *tls.Conn) net.Conn { return framing.Guard(conn, nil) }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	defer running.Wait()
	defer ln.Close()
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { server.ServeConn(t.Context(), conn) })
		}
	})
	dial := func() *tls.Conn {
		conn, err := tls.Dial("tcp", ln.Addr().String(), certified.Client().Transport.(*http.Transport).TLSClientConfig)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		return conn
	}

	for request, want := range map[string]string{
		get + "\r\n":            "200 HTTP/1.1 true",
		get + "Host: a\r\n\r\n": "400 400 Bad Request",
	} {
		conn := dial()
		io.WriteString(conn, request)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, want, fmt.Sprint(resp.StatusCode, " ", string(body)))
		conn.Close()
	}

	conn := dial()
	defer conn.Close()
	io.WriteString(conn, get+"Connection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 101 Switching Protocols\r\n\r\nbye", string(text))
	io.WriteString(conn, "good night")
	conn.CloseWrite()
}

// guarded is an http.Server behind a guard.
type guarded struct {
	addr    string
	reasons chan string
}

func serve(t *testing.T, h http.HandlerFunc) *guarded {
	t.Helper()
	if h == nil {
		h = func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			fmt.Fprint(w, r.Method, " ", r.URL.Path, " ", n)
		}
	}
	s := &guarded{reasons: make(chan string, 10)}
	server := httptest.NewUnstartedServer(h)
	server.Listener = listener{server.Listener, s}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.addr = server.Listener.Addr().String()
	return s
}

type listener struct {
	net.Listener
	s *guarded
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return framing.Guard(conn, func(reason string) { l.s.reasons <- reason }), nil
}

func (s *guarded) reason() string {
	select {
	case reason := <-s.reasons:
		return reason
	default:
		return ""
	}
}

func (s *guarded) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// send sends text in pieces of size, and returns all answers, up to the
// connection's end.
func (s *guarded) send(t *testing.T, text string, size int) (answers []string) {
	t.Helper()
	conn := s.dial(t)
	go func() {
		write(conn, text, size)
		conn.(*net.TCPConn).CloseWrite()
	}()
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return answers
		}
		answers = append(answers, fmt.Sprint(resp.StatusCode, " ", string(body)))
	}
}

func write(conn net.Conn, text string, size int) {
	for len(text) > 0 {
		n := min(size, len(text))
		if _, err := io.WriteString(conn, text[:n]); err != nil {
			return
		}
		text = text[n:]
	}
}
