package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/client"
	"clicktocode.example/01-dns-tcp-tls/stage"
)

// patience is how long anything here may take.
const patience = 10 * time.Second

// TestMain is the program itself, where the environment says so.
func TestMain(m *testing.M) {
	if os.Getenv("MAIN_TEST") != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func TestDescribe(t *testing.T) {
	t.Setenv("DNS_ADDR", "127.0.0.2:53")
	t.Setenv("SHOP_ADDR", "127.0.0.2:443")
	out := run(t, "-describe")
	var d stage.Description
	require.NoError(t, json.Unmarshal(out, &d))
	assert.Equal(t, "https://shop.test:443/", d.URL)
	assert.Equal(t, []stage.Role{{Name: "dns", What: "the zone shop.test", Addr: "127.0.0.2:53"}, {Name: "shop", What: "greets over TLS", Addr: "127.0.0.2:443"}}, d.Roles)
	for _, name := range []string{"DNS_ADDR", "SHOP_ADDR", "WORKSHOP_DIR"} {
		assert.Contains(t, d.Env, name)
	}
	assert.Contains(t, string(out), "dig @127.0.0.2 -p 53 shop.test")
}

func TestClicks(t *testing.T) {
	s := startStack(t)
	first := s.click(t, "-n", "2", s.url)
	require.Len(t, first, 2)
	opened, again := first[0], first[1]
	assert.Equal(t, 200, opened.Status)
	assert.Equal(t, "HTTP/2.0", opened.Proto)
	assert.Contains(t, opened.Body, "Welcome to the shop, 127.0.0.1:")
	assert.Contains(t, opened.Body, "HTTP/2.0 over TLS 1.3, session resumed: false")
	assert.False(t, opened.Reused || opened.Resumed)
	require.Len(t, opened.Phases, 5)
	assert.Equal(t, "TLS 1.3, h2, full handshake", opened.Phases[2].Detail)
	end := int64(0)
	for i, phase := range opened.Phases {
		assert.Equal(t, []string{"DNS", "TCP", "TLS", "wait", "body"}[i], phase.Name)
		assert.GreaterOrEqual(t, phase.StartUS, end-1, "one behind the other, but for rounding: %+v", opened.Phases)
		end = phase.StartUS + phase.US
	}
	assert.Less(t, end, patience.Microseconds())
	require.Len(t, opened.Hops, 1)
	assert.Equal(t, "shop", opened.Hops[0].Name)
	assert.LessOrEqual(t, opened.Hops[0].US, opened.Phases[3].US, "the shop's part of the wait is no longer than the wait")

	assert.True(t, again.Reused)
	require.Len(t, again.Phases, 2, "no look-up, no handshake: %+v", again.Phases)

	second := s.click(t, strings.Replace(s.url, "shop.test", "SHOP.test", 1))
	require.Len(t, second, 1)
	second = append(second, s.click(t, s.url)...)
	assert.True(t, second[1].Resumed, "another process resumes the session")
	assert.False(t, second[1].Reused)
	assert.Contains(t, second[1].Body, "session resumed: true")

	www := s.click(t, strings.Replace(s.url, "shop.test", "www.shop.test", 1)+"nothing")
	require.Len(t, www, 1)
	assert.Equal(t, 404, www[0].Status)

	seen := s.stop(t)
	assert.Contains(t, seen, "dns: shop.test. A → NOERROR")
	assert.Contains(t, seen, "dns: www.shop.test. A → NOERROR")
	assert.Contains(t, seen, "shop: GET / → 200")
	assert.Contains(t, seen, "shop: GET /nothing → 404")
	assert.Contains(t, seen, "dns: "+stage.Stopped)
	assert.Contains(t, seen, "shop: "+stage.Stopped)
}

func TestOtherClients(t *testing.T) {
	s := startStack(t)
	dnsHost, dnsPort, _ := net.SplitHostPort(s.addrs["dns"])
	host, port, _ := net.SplitHostPort(s.addrs["shop"])
	ca := filepath.Join(s.dir, "ca.pem")

	t.Run("dig", func(t *testing.T) {
		for _, how := range []string{"+notcp", "+tcp"} {
			out := s.program(t, "dig", "apt install bind9-dnsutils, brew install bind", "@"+dnsHost, "-p", dnsPort, "www.shop.test", "A", how)
			assert.Contains(t, out, "status: NOERROR")
			assert.Regexp(t, `(?m)^www\.shop\.test\.\s+300\s+IN\s+CNAME\s+shop\.test\.$`, out)
			assert.Regexp(t, `(?m)^shop\.test\.\s+300\s+IN\s+A\s+127\.0\.0\.1$`, out)
		}
		out := s.program(t, "dig", "", "@"+dnsHost, "-p", dnsPort, "gone.shop.test", "A")
		assert.Contains(t, out, "status: NXDOMAIN")
	})

	t.Run("curl", func(t *testing.T) {
		out := s.program(t, "curl", "apt install curl, brew install curl",
			"--silent", "--show-error", "--noproxy", "*", "--cacert", ca, "--resolve", "shop.test:"+port+":"+host, "--include", s.url)
		assert.Regexp(t, `^HTTP/(2|1\.1) 200`, out, "HTTP/2 where this curl knows it")
		assert.Contains(t, out, "Welcome to the shop, 127.0.0.1:")
		assert.Regexp(t, `(?i)server-timing: shop;dur=\d`, out)
	})

	t.Run("openssl", func(t *testing.T) {
		out := s.program(t, "openssl", "apt install openssl, brew install openssl, or on Windows run this in Git's shell",
			"s_client", "-connect", s.addrs["shop"], "-servername", "shop.test", "-verify_hostname", "shop.test", "-CAfile", ca, "-alpn", "h2")
		assert.Contains(t, out, "TLSv1.3")
		assert.Contains(t, out, "ALPN protocol: h2")
		assert.Contains(t, out, "Verify return code: 0 (ok)")
	})
}

// TestNothingIsLeft runs the roles in this process: goleak looks at what remains.
func TestNothingIsLeft(t *testing.T) {
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	addrs := map[string]chan string{"dns": make(chan string, 1), "shop": make(chan string, 1)}
	for name, role := range map[string]stage.Run{"dns": serveDNS("127.0.0.1:0"), "shop": serveShop("127.0.0.1:0")} {
		s := &stage.Stage{Name: name, Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) {
			if e.Event == stage.Ready {
				addrs[name] <- e.Addr
			}
		}}
		go func() { ended <- role(ctx, s) }()
	}
	dnsAddr, shopAddr := <-addrs["dns"], <-addrs["shop"]
	_, port, _ := net.SplitHostPort(shopAddr)
	clicks := 0
	click := &stage.Stage{Name: "click", URL: "https://shop.test:" + port + "/", Count: 3, Emit: func(stage.Event) { clicks++ }}
	assert.NoError(t, client.Command(dnsAddr)(t.Context(), click))
	assert.Equal(t, 3, clicks)
	cancel()
	for range 2 {
		select {
		case err := <-ended:
			assert.NoError(t, err)
		case <-time.After(patience):
			require.FailNow(t, "a role did not end")
		}
	}
}

// stack is this program with all of its roles, in a process of its own.
type stack struct {
	dir   string
	url   string
	addrs map[string]string // of roles
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Scanner
}

func startStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{dir: t.TempDir(), addrs: map[string]string{}}
	t.Setenv("WORKSHOP_DIR", s.dir)
	t.Setenv("DNS_ADDR", "127.0.0.1:0")
	t.Setenv("SHOP_ADDR", "127.0.0.1:0")
	s.cmd = program(t, "-events")
	stdin, err := s.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		stdin.Close() // tells it to end; what does not is killed by its context
		_ = s.cmd.Wait()
	})
	s.stdin, s.out = stdin, bufio.NewScanner(stdout)
	for len(s.addrs) < 2 {
		e := s.next(t)
		require.Equal(t, stage.Ready, e.Event, "%+v", e)
		s.addrs[e.Role] = e.Addr
	}
	_, port, err := net.SplitHostPort(s.addrs["shop"])
	require.NoError(t, err)
	s.url = "https://shop.test:" + port + "/"
	t.Setenv("DNS_ADDR", s.addrs["dns"])
	return s
}

func (s *stack) next(t *testing.T) (e stage.Event) {
	t.Helper()
	require.True(t, s.out.Scan(), "the stack has ended")
	require.NoError(t, json.Unmarshal(s.out.Bytes(), &e), "%s", s.out.Text())
	return e
}

// stop ends the stack, and returns what it told: a line an event.
func (s *stack) stop(t *testing.T) string {
	t.Helper()
	s.stdin.Close()
	var seen strings.Builder
	for s.out.Scan() {
		var e stage.Event
		require.NoError(t, json.Unmarshal(s.out.Bytes(), &e))
		seen.WriteString(e.Role + ": " + e.Event + "\n" + e.Role + ": " + e.Summary + "\n")
	}
	require.NoError(t, s.cmd.Wait(), "it ends in good order")
	return seen.String()
}

// click is what a client process sees.
func (s *stack) click(t *testing.T, args ...string) (clicks []stage.Click) {
	t.Helper()
	for line := range strings.Lines(string(run(t, append([]string{"-role", "click", "-events"}, args...)...))) {
		var e stage.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		require.Equal(t, stage.Clicked, e.Event, "%s", line)
		clicks = append(clicks, *e.Click)
	}
	return clicks
}

// program is the output of another program. Where it is not installed, the
// test is skipped, or in CI fails.
func (s *stack) program(t *testing.T, name, install string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("%s is not installed, so it was not asked: %s", name, install)
	}
	require.NoError(t, err, "where CI is set, %s must be there", name)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	require.NoError(t, err, "%s %q:\n%s", name, args, out)
	return string(out)
}

// program is this program, which is killed when it takes too long.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), "MAIN_TEST=1", "GORACE=atexit_sleep_ms=0")
	cmd.WaitDelay = time.Second
	return cmd
}

// run is the output of this program, run to its end.
func run(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := program(t, args...).Output()
	require.NoError(t, err, "%q: %s", args, out)
	return out
}
