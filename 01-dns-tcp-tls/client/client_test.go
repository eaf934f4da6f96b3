package client_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/client"
	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/01-dns-tcp-tls/solution/tlsserver"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGet(t *testing.T) {
	t.Run("tells_the_phases", func(t *testing.T) {
		w := newWorld(t)
		click := get(t, w.client(t), w.url("shop.test", "/"))
		assert.Equal(t, 200, click.Status)
		assert.Equal(t, "HTTP/2.0", click.Proto)
		assert.Equal(t, "hello", click.Body)
		assert.False(t, click.Reused)
		assert.False(t, click.Resumed)
		assert.Equal(t, []string{"DNS", "TCP", "TLS", "wait", "body"}, names(click))
		assert.Equal(t, fmt.Sprintf("shop.test is 127.0.0.1, says %s", w.dns), click.Phases[0].Detail)
		assert.Contains(t, click.Phases[1].Detail, "to "+w.addr)
		assert.Equal(t, "TLS 1.3, h2, full handshake", click.Phases[2].Detail)
		end := int64(0)
		for _, phase := range click.Phases {
			assert.GreaterOrEqual(t, phase.StartUS, end-1, "%v: one behind the other, but for rounding", click.Phases)
			assert.GreaterOrEqual(t, phase.US, int64(0))
			end = phase.StartUS + phase.US
		}
		assert.Less(t, end, (5 * time.Second).Microseconds())
		assert.Equal(t, []stage.Hop{{Name: "app", US: 1500}, {Name: "shop", US: 2000}}, click.Hops)
	})

	t.Run("uses_a_connection_again", func(t *testing.T) {
		w := newWorld(t)
		c := w.client(t)
		get(t, c, w.url("shop.test", "/"))
		click := get(t, c, w.url("shop.test", "/large"))
		assert.True(t, click.Reused)
		assert.Equal(t, []string{"wait", "body"}, names(click))
		assert.Len(t, click.Body, 4<<10, "of a large body the beginning is shown")
		assert.Contains(t, click.Phases[1].Detail, "100000 bytes")
		assert.True(t, get(t, c, w.url("shop.test", "/")).Reused, "it was read to its end all the same")
	})

	t.Run("sends_any_request", func(t *testing.T) {
		w := newWorld(t)
		c := w.client(t)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url("shop.test", "/echo"), strings.NewReader(strings.Repeat("soup ", 1000)))
		require.NoError(t, err)
		req.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		click, body, err := c.Do(req)
		require.NoError(t, err)
		assert.Equal(t, req.URL.String(), click.URL)
		assert.Equal(t, "POST "+req.Header.Get("Traceparent")+" "+strings.Repeat("soup ", 1000), string(body), "all of it")
		assert.Equal(t, string(body[:4<<10]), click.Body, "its beginning")
	})

	t.Run("resumes_a_session_of_another_process", func(t *testing.T) {
		w := newWorld(t)
		c := w.client(t)
		get(t, c, w.url("shop.test", "/"))
		require.NoError(t, c.Close())
		info, err := os.Stat(filepath.Join(w.dir, client.SessionsFile))
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds secrets")
		}
		for range 2 {
			c = w.client(t)
			click := get(t, c, w.url("shop.test", "/"))
			assert.True(t, click.Resumed)
			assert.False(t, click.Reused)
			assert.Equal(t, "TLS 1.3, h2, resumed", click.Phases[2].Detail)
			require.NoError(t, c.Close())
		}
	})

	t.Run("resumes_nothing_under_another_authority", func(t *testing.T) {
		w := newWorld(t)
		c := w.client(t)
		get(t, c, w.url("shop.test", "/"))
		require.NoError(t, c.Close())
		for _, file := range []string{authority.KeyFile, authority.CertificateFile} {
			require.NoError(t, os.Remove(filepath.Join(w.dir, file)))
		}
		_, err := authority.Open(authority.Config{Dir: w.dir})
		require.NoError(t, err)
		_, err = w.client(t).Get(t.Context(), w.url("shop.test", "/"))
		assert.ErrorContains(t, err, "signed by an authority that is not in ca.pem", "the session in the file began with a certificate that is trusted no longer")
	})

	t.Run("does_without_a_damaged_file_of_sessions", func(t *testing.T) {
		for _, text := range []string{"", "{", `{"shop.test":{"ticket":"AA==","state":"AA=="}}`, "[]"} {
			w := newWorld(t)
			require.NoError(t, os.WriteFile(filepath.Join(w.dir, client.SessionsFile), []byte(text), 0o600))
			assert.False(t, get(t, w.client(t), w.url("shop.test", "/")).Resumed)
		}
	})

	t.Run("looks_up_no_address", func(t *testing.T) {
		w := newWorld(t)
		for _, host := range []string{"127.0.0.1", "localhost"} {
			assert.Equal(t, []string{"TCP", "TLS", "wait", "body"}, names(get(t, w.client(t), w.url(host, "/"))), host)
		}
	})

	t.Run("follows_an_alias_and_no_redirect", func(t *testing.T) {
		w := newWorld(t)
		assert.Equal(t, 302, get(t, w.client(t), w.url("www.shop.test", "/elsewhere")).Status)
	})

	t.Run("speaks_HTTP_1_1_without_TLS", func(t *testing.T) {
		w := newWorld(t)
		plain := httptest.NewServer(http.HandlerFunc(answer))
		defer plain.Close()
		click := get(t, w.client(t), plain.URL)
		assert.Equal(t, "HTTP/1.1", click.Proto)
		assert.Equal(t, []string{"TCP", "wait", "body"}, names(click))
	})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	fails := func(t *testing.T, c *client.Client, url, want string) error {
		t.Helper()
		began := time.Now()
		_, err := c.Get(t.Context(), url)
		require.ErrorContains(t, err, want)
		assert.Less(t, time.Since(began), 4*time.Second)
		assert.NotContains(t, err.Error(), "\n", "one line")
		return err
	}
	t.Run("no_authority_yet", func(t *testing.T) {
		_, err := client.New(client.Config{DNS: netip.MustParseAddrPort("127.0.0.1:53"), Dir: t.TempDir()})
		assert.ErrorContains(t, err, "go run ./workshop up 01")
	})
	t.Run("no_DNS_server", func(t *testing.T) {
		w := newWorld(t)
		w.dns = unused(t)
		fails(t, w.client(t), w.url("shop.test", "/"), "no answer from the DNS server at "+w.dns.String()+". Start the stack")
	})
	t.Run("no_such_name", func(t *testing.T) {
		w := newWorld(t)
		err := fails(t, w.client(t), w.url("gone.shop.test", "/"), "gone.shop.test has no address")
		assert.ErrorIs(t, err, dns.ErrNoSuchName)
		fails(t, w.client(t), w.url("six.shop.test", "/"), "six.shop.test has no address")
	})
	t.Run("no_name_of_the_zone", func(t *testing.T) {
		w := newWorld(t)
		fails(t, w.client(t), w.url("example.com", "/"), "knows shop.test and what is below")
	})
	t.Run("no_server", func(t *testing.T) {
		w := newWorld(t)
		fails(t, w.client(t), fmt.Sprintf("https://shop.test:%d/", unused(t).Port()), "Start the stack")
	})
	t.Run("another_authority", func(t *testing.T) {
		w := newWorld(t)
		other, err := certificate.NewAuthority(time.Now())
		require.NoError(t, err)
		w.certificate, err = other.Issue(time.Now(), "shop.test")
		require.NoError(t, err)
		fails(t, w.client(t), w.url("shop.test", "/"), "end the stack and start it again")
	})
	t.Run("another_name", func(t *testing.T) {
		w := newWorld(t)
		fails(t, w.client(t), w.url("other.shop.test", "/"), "for other names")
	})
	t.Run("no_TLS", func(t *testing.T) {
		w := newWorld(t)
		plain := httptest.NewServer(http.HandlerFunc(answer))
		defer plain.Close()
		fails(t, w.client(t), strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS")
	})
	t.Run("a_silent_server", func(t *testing.T) {
		w := newWorld(t)
		c, err := client.New(client.Config{DNS: w.dns, Dir: w.dir, Timeout: 50 * time.Millisecond})
		require.NoError(t, err)
		defer c.Close()
		fails(t, c, w.url("shop.test", "/silent"), "no answer within 50ms")
	})
	t.Run("no_URL", func(t *testing.T) {
		w := newWorld(t)
		for _, url := range []string{"shop.test:8443", "ftp://shop.test/", "https://", "::"} {
			fails(t, w.client(t), url, "looks like https://shop.test:8443/")
		}
	})
	t.Run("given_up", func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := w.client(t).Get(ctx, w.url("shop.test", "/"))
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestCommand(t *testing.T) {
	w := newWorld(t)
	t.Setenv("WORKSHOP_DIR", w.dir)
	var clicks []stage.Click
	s := &stage.Stage{URL: w.url("shop.test", "/"), Count: 2, Emit: func(e stage.Event) { clicks = append(clicks, *e.Click) }}
	require.NoError(t, client.Command(w.dns.String())(t.Context(), s))
	require.NoError(t, client.Command(w.dns.String())(t.Context(), s))
	require.Len(t, clicks, 4)
	for i, want := range []struct{ reused, resumed bool }{{false, false}, {true, false}, {false, true}, {true, false}} {
		assert.Equal(t, want.reused, clicks[i].Reused, "click %d", i)
		assert.Equal(t, want.resumed, clicks[i].Resumed, "click %d", i)
	}
	assert.ErrorContains(t, client.Command("nowhere")(t.Context(), s), "set DNS_ADDR")
}

// world is what a client needs around it: a DNS server, an authority, and a
// server that speaks HTTP over TLS.
type world struct {
	dns         netip.AddrPort
	dir         string
	addr        string // of the server
	certificate *tls.Certificate
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	names, err := zone.Listen("127.0.0.1:0", zone.MustParse(`
$ORIGIN shop.test.
@      300  SOA    ns hostmaster 1 3600 600 86400 60
@      300  A      127.0.0.1
www    300  CNAME  @
other  300  A      127.0.0.1
six    300  NS     ns
`), nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, names.Close()) })
	w.dns = netip.MustParseAddrPort(names.Addr())

	keys, err := authority.Open(authority.Config{Dir: w.dir})
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what is tested
	server.EnableHTTP2 = true
	server.TLS = tlsserver.Config(func() (*tls.Certificate, error) {
		if w.certificate != nil {
			return w.certificate, nil
		}
		return keys.Current()
	})
	ln := server.Listener
	server.Listener = tls.NewListener(ln, server.TLS)
	server.Start()
	t.Cleanup(server.Close)
	w.addr = ln.Addr().String()
	return w
}

func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/elsewhere":
		http.Redirect(w, r, "/", http.StatusFound)
	case "/large":
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	case "/echo":
		_, _ = fmt.Fprintf(w, "%s %s ", r.Method, r.Header.Get("Traceparent"))
		_, _ = io.Copy(w, r.Body)
	case "/silent":
		<-r.Context().Done()
	default:
		w.Header().Add("Server-Timing", "app;dur=1.5")
		w.Header().Add("Server-Timing", "shop;dur=2")
		_, _ = io.WriteString(w, "hello")
	}
}

func (w *world) url(host, path string) string {
	_, port, _ := net.SplitHostPort(w.addr)
	return "https://" + net.JoinHostPort(host, port) + path
}

// client is a client that is closed at the test's end.
func (w *world) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{DNS: w.dns, Dir: w.dir})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func get(t *testing.T, c *client.Client, url string) stage.Click {
	t.Helper()
	click, err := c.Get(t.Context(), url)
	require.NoError(t, err)
	assert.Equal(t, url, click.URL)
	return click
}

func names(click stage.Click) (all []string) {
	for _, phase := range click.Phases {
		all = append(all, phase.Name)
	}
	return all
}

// unused is an address that nothing listens at.
func unused(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}
