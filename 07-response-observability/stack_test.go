package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/freeport"
	"clicktocode.example/01-dns-tcp-tls/resolver"
	"clicktocode.example/01-dns-tcp-tls/stage"
	kitchen "clicktocode.example/05-business-logic/replica"
	mailbox "clicktocode.example/05-business-logic/sendgrid/standin"
	till "clicktocode.example/05-business-logic/stripe/standin"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/solution/dbpool"
)

// patience is how long anything here may take that is not measured.
const patience = 20 * time.Second

// stack is the finished service: each role a process of its own, which can be killed
// and started again, at addresses that were free a moment ago. What Stripe and
// SendGrid have is in this process, where it can be looked at.
type stack struct {
	t, whole testing.TB // the part that it is in, and the test that it was made for
	program  string
	addrs    map[string]string // by name, as EDGE1 and EDGE1_ADMIN
	held     []net.Listener    // at addrs, until describe: none is there twice
	dir      string            // WORKSHOP_DIR
	env      []string
	d        stage.Description
	doors    map[string]*os.File // sockets that are kept while their role is started again
	payments *till.Server
	mail     *mailbox.Server
	names    *resolver.Resolver
	roots    *tls.Config

	mu      sync.Mutex // guards running
	running map[string]*process
}

// newStack builds the program and says where everything will be; nothing runs yet. env
// is more of the environment, as "GOGC=100". Its customers may come as often as they like.
func newStack(t testing.TB, env ...string) *stack {
	if _, err := backing.FindPostgres(t.Context(), backing.PostgresConfig{NoDownload: true}); err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err)
		}
		t.Skipf("there is no PostgreSQL: %s", backing.InstallPostgres())
	}
	s := build(t, ".")
	secret, err := kitchen.Secret(s.dir)
	require.NoError(t, err)
	s.payments, err = till.New(till.Config{WebhookURL: "http://" + s.addrs["A"] + kitchen.WebhookPath, WebhookSecret: secret})
	require.NoError(t, err)
	t.Cleanup(s.payments.Close)
	s.mail, err = mailbox.New(mailbox.Config{Keep: 1_000_000})
	require.NoError(t, err)
	for name, h := range map[string]http.Handler{"PAYMENTS": s.payments, "MAIL": s.mail} {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		s.env = append(s.env, name+"_ADDR="+server.Listener.Addr().String())
	}
	s.describe(append([]string{"RATE_LIMIT=0"}, env...))
	t.Cleanup(func() { _ = os.RemoveAll(backing.DataDir(s.dir)) })
	return s
}

// build builds a chapter's program, and finds addresses for its roles.
func build(t testing.TB, chapter string) *stack {
	s := &stack{t: t, whole: t, dir: t.TempDir(), addrs: map[string]string{}, doors: map[string]*os.File{}, running: map[string]*process{}}
	s.program = filepath.Join(t.TempDir(), "service.exe")
	out, err := exec.Command("go", "build", "-o", s.program, chapter).CombinedOutput()
	require.NoError(t, err, "%s", out)
	s.env = append(os.Environ(), "CI=", "WORKSHOP_DIR="+s.dir)
	for _, name := range []string{"DATABASE_URL", "MEMCACHED_SERVERS", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "SENDGRID_API_KEY", "MAIL_TO"} {
		s.env = append(s.env, name+"=")
	}
	hold := func(name string) {
		ln, err := freeport.Listen()
		require.NoError(t, err)
		s.held, s.addrs[name] = append(s.held, ln), ln.Addr().String()
		s.env = append(s.env, name+"_ADDR="+s.addrs[name])
	}
	for _, name := range []string{"DNS", "BALANCER", "EDGE1", "EDGE2", "A", "B", "C", "WORKER", "POSTGRES", "MEMCACHED"} {
		hold(name)
		if !slices.Contains([]string{"POSTGRES", "MEMCACHED"}, name) {
			hold(name + "_ADMIN")
		}
	}
	return s
}

// describe asks the program what it is, with env beyond its environment.
func (s *stack) describe(env []string) {
	for _, ln := range s.held {
		require.NoError(s.t, ln.Close())
	}
	s.env = append(s.env, env...)
	describe := exec.Command(s.program, "-describe")
	describe.Env = s.env
	out, err := describe.Output()
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(out, &s.d))
	s.names, err = resolver.New(resolver.Config{Servers: []netip.AddrPort{netip.MustParseAddrPort(s.addrs["DNS"])}})
	require.NoError(s.t, err)
	s.t.Cleanup(s.names.Close)
}

// roles are those that are processes here.
func (s *stack) roles() (names []string) {
	for _, r := range s.d.Roles {
		if r.Name != "payments" && r.Name != "mail" {
			names = append(names, r.Name)
		}
	}
	return names
}

// startAll starts all roles, and ends them with the test. It returns how long it took.
func (s *stack) startAll() time.Duration {
	began := time.Now()
	s.whole.Cleanup(func() { s.each(s.roles(), s.stop) })
	s.each(s.roles(), s.start)
	took := time.Since(began)
	pool, err := authority.Pool(s.dir)
	require.NoError(s.t, err)
	s.roots = &tls.Config{RootCAs: pool, ClientSessionCache: tls.NewLRUClientSessionCache(100)}
	return took
}

// each calls do for all names side by side.
func (s *stack) each(names []string, do func(name string)) {
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() { do(name) })
	}
	all.Wait()
}

// process is a role at work.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan error
	said  *logs
}

// logs is what a process has said, the last of it.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() > 1<<20 {
		l.text.Reset()
	}
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a role, and returns when it is ready.
func (s *stack) start(name string) {
	p := &process{cmd: exec.Command(s.program, "-role", name, "-events"), ended: make(chan error, 1), said: new(logs)}
	p.cmd.Env, p.cmd.Stderr = s.env, p.said
	role := s.d.Roles[slices.IndexFunc(s.d.Roles, func(r stage.Role) bool { return r.Name == name })]
	if role.Held && runtime.GOOS != "windows" {
		s.mu.Lock()
		if s.doors[name] == nil {
			ln, err := net.Listen("tcp", role.Addr)
			if err == nil {
				s.doors[name], err = ln.(*net.TCPListener).File()
				ln.Close()
				s.whole.Cleanup(func() { s.doors[name].Close() })
			}
			if err != nil {
				s.t.Error(err)
			}
		}
		p.cmd.ExtraFiles = []*os.File{s.doors[name]}
		s.mu.Unlock()
		p.cmd.Env = append(slices.Clone(s.env), "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
	}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		s.t.Error(err)
		return
	}
	p.stdin = stdin
	r, w := io.Pipe()
	p.cmd.Stdout = w
	ready := make(chan struct{})
	go func() {
		for in := bufio.NewReader(r); ; {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			if bytes.Contains(line, []byte(`"event":"request"`)) {
				continue // there are thousands a second, and nobody reads them here
			}
			var e stage.Event
			if json.Unmarshal(line, &e) != nil || e.Event == stage.Failed {
				_, _ = p.said.Write(line)
			}
			if e.Event == stage.Ready {
				close(ready)
			}
		}
	}()
	if err := p.cmd.Start(); err != nil {
		s.t.Error(err)
		return
	}
	go func() {
		p.ended <- p.cmd.Wait()
		w.Close()
	}()
	s.mu.Lock()
	s.running[name] = p
	s.mu.Unlock()
	select {
	case <-ready:
	case err := <-p.ended:
		p.ended <- err
		s.t.Errorf("%s ended before it was ready: %v\n%s", name, err, p.said)
	case <-time.After(patience):
		s.t.Errorf("%s is not ready after %v\n%s", name, patience, p.said)
	}
}

// take is the process of a role, which is nobody's from now on.
func (s *stack) take(name string) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.running[name]
	delete(s.running, name)
	return p
}

// stop tells a role to end, and waits for it.
func (s *stack) stop(name string) {
	p := s.take(name)
	if p == nil {
		return
	}
	p.stdin.Close()
	select {
	case err := <-p.ended:
		if err != nil {
			s.t.Errorf("%s did not end in good order: %v\n%s", name, err, p.said)
		}
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		s.t.Errorf("%s did not end\n%s", name, p.said)
	}
}

// kill ends a role as kill -9 does: it has no time for anything.
func (s *stack) kill(name string) {
	p := s.take(name)
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// books is a connection to the database, beside the service's own.
func (s *stack) books() *sqlx.DB {
	addr := s.d.Roles[slices.IndexFunc(s.d.Roles, func(r stage.Role) bool { return r.Name == "postgres" })].Addr
	url, err := backing.PostgresConfig{Addr: addr, DataDir: backing.DataDir(s.dir)}.KeptURL()
	require.NoError(s.t, err)
	db, err := dbpool.Open(url, dbpool.Config{Application: "books", MaxOpen: 2})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { db.Close() })
	return db
}

// visit is a customer's, who comes by a connection of their own, and leaves with it.
type visit struct {
	s     *stack
	own   *http.Transport
	web   *http.Client
	site  string
	token string
}

// customer is the n-th, from an address of their own where there are several.
func (s *stack) customer(n int) *visit {
	own := &http.Transport{
		TLSClientConfig: s.roots.Clone(), ForceAttemptHTTP2: true, TLSHandshakeTimeout: patience,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			ips, err := s.names.Lookup(ctx, host)
			if err != nil {
				return nil, err
			}
			dialer := net.Dialer{Timeout: patience}
			if runtime.GOOS == "linux" { // which has all of 127.0.0.0/8
				dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort(ips[0].String(), port))
		},
	}
	return &visit{s: s, own: own, web: &http.Client{Transport: own, Timeout: patience}, site: strings.TrimSuffix(s.d.URL, "/")}
}

func (v *visit) leave() { v.own.CloseIdleConnections() }

// ask sends a request through the door, and reads the whole answer.
func (v *visit) ask(method, path string, body any, header ...string) (status int, text []byte, err error) {
	var reader io.Reader
	if body != nil {
		sent, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(sent)
	}
	req, err := http.NewRequest(method, v.site+path, reader)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := v.web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// get is ask, and fails unless the answer is 200 and JSON, which is put into into.
func (v *visit) get(path string, into any, header ...string) error {
	status, text, err := v.ask(http.MethodGet, path, nil, header...)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", status, text)
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// placed is an order, as its customer sees it.
type placed struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Total struct {
		Amount int64 `json:"amount"`
	} `json:"total"`
	Lines []struct {
		Dish     string `json:"dish"`
		Quantity int    `json:"quantity"`
	} `json:"lines"`
}
