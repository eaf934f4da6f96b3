// Package stacktest runs a whole stack in a test, over real sockets: its roles in this
// process, where goroutines that are left behind are found, or each as a process of its
// own, which can be killed. And it plays those who click on "Buy now", again and again,
// and the auditor who counts afterwards.
package stacktest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/freeport"
	"clicktocode.example/01-dns-tcp-tls/resolver"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/issuer"
)

// Patience is how long anything may take that is not measured.
const Patience = 20 * time.Second

// Isolate gives t a folder for keys and state, and each of names, such as "EDGE1", an
// address that was free a moment ago. The variables of unset are empty.
func Isolate(t testing.TB, names []string, unset ...string) {
	t.Helper()
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	for _, name := range unset {
		t.Setenv(name, "")
	}
	var held []net.Listener // until all have one: none twice
	for _, name := range names {
		ln, err := freeport.Listen()
		require.NoError(t, err)
		held = append(held, ln)
		t.Setenv(name+"_ADDR", ln.Addr().String())
	}
	for _, ln := range held {
		require.NoError(t, ln.Close())
	}
}

// Stack is a stack that is tried. Its methods are for the test's own goroutine, where
// they do not say otherwise.
type Stack struct {
	Description stage.Description
	Run         map[string]stage.Run

	t     testing.TB
	key   *issuer.Key
	names *resolver.Resolver // shop.test's DNS server, and no other
	inner *http.Client       // for what does not go through the door

	children []*Process
}

// New returns the stack that d and run are, in the surroundings that Isolate has made.
// None of it runs yet.
func New(t testing.TB, d stage.Description, run map[string]stage.Run) *Stack {
	t.Helper()
	key, err := issuer.Open(os.Getenv("WORKSHOP_DIR"))
	require.NoError(t, err)
	names, err := resolver.New(resolver.Config{Servers: []netip.AddrPort{netip.MustParseAddrPort(os.Getenv("DNS_ADDR"))}})
	require.NoError(t, err)
	own := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(func() {
		own.CloseIdleConnections()
		names.Close()
	})
	s := &Stack{Description: d, Run: run, t: t, key: key, names: names, inner: &http.Client{Transport: own, Timeout: Patience}}
	t.Cleanup(s.end)
	return s
}

// end ends all processes together, as `workshop up` does.
func (s *Stack) end() {
	for _, p := range s.children {
		_ = p.alive.Close()
	}
	for _, p := range s.children {
		select {
		case <-p.ended:
		case <-time.After(Patience):
			assert.Fail(s.t, "it does not end", p.name)
			p.Kill()
		}
		assert.Empty(s.t, p.failed, p.name)
	}
}

// Start runs roles in this process, all of them but those named, and returns when they
// are ready. They end with the test, in the order of the request's path.
func (s *Stack) Start(but ...string) {
	s.t.Helper()
	var roles []string
	for _, r := range s.Description.Roles {
		if !slices.Contains(but, r.Name) {
			roles = append(roles, r.Name)
		}
	}
	ended := map[string]chan error{}
	stops := map[string]context.CancelFunc{}
	s.t.Cleanup(func() {
		for _, name := range roles {
			stops[name]()
			select {
			case err := <-ended[name]:
				assert.NoError(s.t, err, name)
			case <-time.After(Patience):
				assert.Fail(s.t, "it does not end", name)
			}
		}
	})
	ready := make(chan string, len(roles))
	for _, name := range roles {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		ended[name], stops[name] = done, stop
		go func() {
			done <- s.Run[name](ctx, &stage.Stage{Name: name, Log: slog.New(logs()).With("role", name), Emit: func(e stage.Event) {
				if e.Event == stage.Ready {
					ready <- name
				}
			}})
		}()
	}
	for range roles {
		select {
		case <-ready:
		case <-time.After(Patience):
			require.FailNow(s.t, "a role is not ready")
		}
	}
}

// logs is where roles log: nowhere, or, for who looks for a fault and sets STACK_LOG, to
// standard error.
func logs() slog.Handler {
	if testing.Verbose() && os.Getenv("STACK_LOG") != "" {
		return slog.NewTextHandler(os.Stderr, nil)
	}
	return slog.DiscardHandler
}

// Child is the variable by which a test's binary knows that it is to be a role: its
// TestMain then calls stage.Main.
const Child = "STACKTEST_CHILD"

// Process is a role that runs as a process of its own.
type Process struct {
	name   string
	cmd    *exec.Cmd
	alive  io.Closer
	ended  chan struct{}
	failed string // why; read after ended
}

// Spawn starts a role as a process of its own, which is this test's binary once more,
// and returns at once: see Ready. It ends with the test.
func (s *Stack) Spawn(name string) (p *Process, ready <-chan struct{}) {
	s.t.Helper()
	self, err := os.Executable()
	require.NoError(s.t, err)
	p = &Process{name: name, cmd: exec.Command(self, "-role", name, "-events"), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), Child+"=1", "GORACE=atexit_sleep_ms=0")
	if testing.Verbose() && os.Getenv("STACK_LOG") != "" {
		p.cmd.Stderr = os.Stderr
	}
	p.alive, err = p.cmd.StdinPipe()
	require.NoError(s.t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, p.cmd.Start())
	is := make(chan struct{})
	go func() {
		defer close(p.ended)
		var once sync.Once
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e stage.Event
			switch _ = json.Unmarshal(lines.Bytes(), &e); e.Event {
			case stage.Ready:
				once.Do(func() { close(is) })
			case stage.Failed:
				p.failed = e.Error
			}
		}
		_ = p.cmd.Wait()
	}()
	s.children = append(s.children, p)
	return p, is
}

// Kill ends the process as kill -9 does, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Wait waits for what Spawn has returned.
func (s *Stack) Wait(ready ...<-chan struct{}) {
	s.t.Helper()
	late := time.After(Patience)
	for _, r := range ready {
		select {
		case <-r:
		case <-late:
			require.FailNow(s.t, "a role is not ready")
		}
	}
}

// Get asks for url, with a token unless that is empty, and reads the answer, which is
// JSON, into into.
func (s *Stack) Get(url, token string, into any) {
	s.t.Helper()
	status, text, err := s.Ask(url, token)
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, status, "%s: %.300s", url, text)
	require.NoError(s.t, json.Unmarshal(text, into))
}

// Ask is Get for an answer that may be any. It may be called by many goroutines at once.
func (s *Stack) Ask(url, token string) (status int, text []byte, err error) {
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", url, nil)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.inner.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// Token is one for subject, which may do what scopes say, separated by spaces.
func (s *Stack) Token(subject, scopes string) string {
	s.t.Helper()
	token, err := s.key.Sign(subject, strings.Fields(scopes), time.Hour)
	require.NoError(s.t, err)
	return token
}
