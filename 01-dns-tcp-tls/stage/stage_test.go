package stage_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

// patience is how long anything here may take.
const patience = 5 * time.Second

var description = stage.Description{
	Title: "A test",
	URL:   "https://shop.test:8443/",
	Roles: []stage.Role{{"alpha", "the first", "127.0.0.1:0", true}, {"beta", "the second", "127.0.0.1:0", false}},
	Try:   []stage.Try{{"look & see", "go run ./workshop click"}},
	Env:   map[string]string{"ALPHA_ADDR": "where alpha listens"},
}

// TestMain is a chapter's program, where the environment says so, or a parent
// that starts one and waits to be killed.
func TestMain(m *testing.M) {
	switch os.Getenv("STAGE_TEST") {
	case "":
		os.Exit(m.Run())
	case "parent":
		cmd := exec.Command(os.Args[0], os.Args[1:]...)
		cmd.Env = append(os.Environ(), "STAGE_TEST=program")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if _, err := cmd.StdinPipe(); err != nil {
			panic(err)
		}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, os.Stdin) // waits to be killed
		os.Exit(9)
	}
	role := func(ctx context.Context, s *stage.Stage) error {
		ln, err := s.Listen(stage.Env(strings.ToUpper(s.Name)+"_ADDR", "127.0.0.1:0"))
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		s.Ready(ln.Addr().String())
		s.Log.Info("a line for the log")
		s.Request("GET /?a&b → 200", 412*time.Microsecond, map[string]string{"tls": "TLS 1.3"})
		<-ctx.Done()
		return ln.Close()
	}
	stage.Main(description, map[string]stage.Run{
		"alpha": role, "beta": role,
		"broken": func(context.Context, *stage.Stage) error { return errors.New("broken: no luck. Try again") },
		"click": func(ctx context.Context, s *stage.Stage) error {
			for i := range s.Count {
				s.Click(stage.Click{
					URL: s.URL, Status: 200, Proto: "HTTP/2.0", Reused: i > 0, Body: "hello\n",
					Phases: []stage.Phase{{Name: "wait", StartUS: 10, US: 20, Detail: "from 127.0.0.1"}},
					Hops:   []stage.Hop{{Name: "shop", US: 12}},
				})
			}
			return ctx.Err()
		},
	})
}

func TestDescribe(t *testing.T) {
	out, code := run(t, "-describe")
	assert.Zero(t, code)
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	var got stage.Description
	require.NoError(t, dec.Decode(&got), "%s", out)
	assert.Equal(t, description, got)
	assert.Contains(t, out, `"look & see"`, "text is left as it is")
}

func TestRole(t *testing.T) {
	t.Run("ends_with_standard_input", func(t *testing.T) {
		p := start(t, "program", nil, "-role", "alpha", "-events")
		ready := p.next(t)
		assert.Equal(t, stage.Ready, ready.Event)
		assert.Equal(t, "alpha", ready.Role)
		assert.WithinDuration(t, time.Now(), ready.Time, time.Minute)
		conn, err := net.Dial("tcp", ready.Addr)
		require.NoError(t, err, "ready means that it can be reached")
		conn.Close()

		request := p.next(t)
		assert.Equal(t, stage.Event{
			Time: request.Time, Event: stage.Request, Role: "alpha",
			Summary: "GET /?a&b → 200", US: 412, Detail: map[string]string{"tls": "TLS 1.3"},
		}, request)

		p.stdin.Close()
		assert.Equal(t, stage.Stopped, p.next(t).Event)
		assert.Zero(t, p.exit(t))
		assert.Contains(t, p.stderr.String(), "a line for the log", "logs go to standard error")
	})

	t.Run("ends_on_SIGTERM", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no SIGTERM")
		}
		p := start(t, "program", nil, "-role", "beta", "-events")
		p.next(t)
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		p.next(t)
		assert.Equal(t, stage.Stopped, p.next(t).Event)
		assert.Zero(t, p.exit(t))
	})

	t.Run("ends_with_a_killed_parent", func(t *testing.T) {
		for _, args := range [][]string{{"-role", "alpha", "-events"}, {}} {
			if len(args) == 0 && runtime.GOOS == "windows" {
				continue // it does not tell that a parent is gone
			}
			p := start(t, "parent", nil, args...)
			p.line(t)
			killed := time.Now()
			require.NoError(t, p.cmd.Process.Kill())
			_, err := io.Copy(io.Discard, p.stdout) // the child has the other end of it
			require.NoError(t, err, "%q is still running %s after its parent was killed", args, patience)
			assert.Less(t, time.Since(killed), 2*time.Second, "%q", args)
		}
	})

	t.Run("says_why_it_cannot_start", func(t *testing.T) {
		p := start(t, "program", nil, "-role", "broken", "-events")
		failed := p.next(t)
		assert.Equal(t, stage.Failed, failed.Event)
		assert.Equal(t, "broken: no luck. Try again", failed.Error)
		assert.Equal(t, 1, p.exit(t))
	})

	t.Run("says_what_to_do_when_its_address_is_taken", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		t.Setenv("ALPHA_ADDR", ln.Addr().String())
		p := start(t, "program", nil, "-role", "alpha", "-events")
		failed := p.next(t)
		assert.Equal(t, stage.Failed, failed.Event)
		assert.Contains(t, failed.Error, "set ALPHA_ADDR to a free one")
		assert.Equal(t, 1, p.exit(t))
	})
}

func TestAll(t *testing.T) {
	t.Run("runs_every_role_and_no_command", func(t *testing.T) {
		p := start(t, "program", nil, "-events")
		told := map[string][]string{}
		for range 4 {
			e := p.next(t)
			told[e.Role] = append(told[e.Role], e.Event)
		}
		p.stdin.Close()
		for range 2 {
			e := p.next(t)
			told[e.Role] = append(told[e.Role], e.Event)
		}
		story := []string{stage.Ready, stage.Request, stage.Stopped}
		assert.Equal(t, map[string][]string{"alpha": story, "beta": story}, told)
		assert.Zero(t, p.exit(t))
	})

	t.Run("ends_all_when_one_fails", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		t.Setenv("BETA_ADDR", ln.Addr().String())
		p := start(t, "program", nil, "-events")
		last := map[string]string{}
		for {
			line, err := p.out.ReadBytes('\n')
			if err != nil {
				break
			}
			e := decode(t, line)
			last[e.Role] = e.Event
		}
		assert.Equal(t, map[string]string{"alpha": stage.Stopped, "beta": stage.Failed}, last)
		assert.Equal(t, 1, p.exit(t))
	})

	t.Run("is_readable", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no SIGTERM to end it with")
		}
		p := start(t, "program", nil)
		p.stdin.Close() // says nothing to a program that a human started
		text := ""
		for !strings.Contains(text, "Ctrl-C") || strings.Count(text, "GET /?a&b → 200") < 2 {
			text += p.line(t)
		}
		assert.Regexp(t, `alpha +the first, at 127\.0\.0\.1:\d+`, text)
		assert.Contains(t, text, "go run ./workshop click")
		require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
		assert.Zero(t, p.exit(t))
	})
}

func TestCommand(t *testing.T) {
	t.Run("ends_by_itself", func(t *testing.T) {
		out, code := run(t, "-role", "click", "-events", "-n", "2", "https://www.shop.test:8443/menu")
		assert.Zero(t, code)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		require.Len(t, lines, 2, "%s", out)
		second := decode(t, []byte(lines[1]))
		assert.Equal(t, stage.Clicked, second.Event)
		assert.Equal(t, &stage.Click{
			URL: "https://www.shop.test:8443/menu", Status: 200, Proto: "HTTP/2.0", Reused: true, Body: "hello\n",
			Phases: []stage.Phase{{Name: "wait", StartUS: 10, US: 20, Detail: "from 127.0.0.1"}},
			Hops:   []stage.Hop{{Name: "shop", US: 12}},
		}, second.Click)
		assert.Contains(t, lines[0], `"reused":false,"resumed":false`, "what is not so, is said too")
	})

	t.Run("is_readable", func(t *testing.T) {
		out, code := run(t, "-role", "click")
		assert.Zero(t, code)
		assert.Contains(t, out, "https://shop.test:8443/: status 200, HTTP/2.0, over a new connection")
		assert.Regexp(t, `wait +at +0\.010 ms for +0\.020 ms +from 127\.0\.0\.1`, out)
		assert.Regexp(t, `of that, shop +said +0\.012 ms`, out)
	})
}

// While a role is started again, nobody is refused whose parent keeps its socket.
func TestHeldSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows hands on no sockets")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	socket, err := ln.(*net.TCPListener).File()
	require.NoError(t, err)
	defer socket.Close()
	addr := ln.Addr().String()
	for range 2 {
		waiting, err := net.DialTimeout("tcp", addr, patience)
		require.NoError(t, err, "nobody runs yet, or any more")
		defer waiting.Close()
		alpha := start(t, "program", func(cmd *exec.Cmd) {
			cmd.ExtraFiles = []*os.File{socket}
			cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=alpha")
		}, "-role", "alpha", "-events")
		require.Equal(t, addr, alpha.next(t).Addr)
		alpha.stdin.Close()
		require.Equal(t, 0, alpha.exit(t))
	}
	t.Run("is_its_own_role's", func(t *testing.T) {
		beta := start(t, "program", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=alpha") }, "-role", "beta", "-events")
		require.NotEqual(t, addr, beta.next(t).Addr)
		beta.stdin.Close()
		require.Equal(t, 0, beta.exit(t))
	})
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"-role", "gamma"}, {"-role", "alpha", "https://shop.test/"}, {"-role", "alpha", "-n", "2"},
		{"-role", "click", "-n", "0"}, {"-role", "click", "a", "b"}, {"-nonsense"},
	} {
		_, code := run(t, args...)
		assert.Equal(t, 2, code, "%q", args)
	}
	_, code := run(t, "-help")
	assert.Zero(t, code, "asking for help is no misuse")
}

func TestDir(t *testing.T) {
	t.Run("is_what_the_environment_says", func(t *testing.T) {
		want := filepath.Join(t.TempDir(), "keys")
		t.Setenv("WORKSHOP_DIR", want)
		dir, err := stage.Dir()
		require.NoError(t, err)
		assert.Equal(t, want, dir)
		info, err := os.Stat(dir)
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "it holds keys")
		}
	})

	t.Run("is_beside_the_clones_go.work", func(t *testing.T) {
		t.Setenv("WORKSHOP_DIR", "")
		clone := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(clone, "go.work"), nil, 0o600))
		below := filepath.Join(clone, "01-dns-tcp-tls", "stage")
		require.NoError(t, os.MkdirAll(below, 0o700))
		t.Chdir(below)
		dir, err := stage.Dir()
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(clone, ".workshop"))
		require.NoError(t, err)
		got, err := os.Stat(dir)
		require.NoError(t, err)
		assert.True(t, os.SameFile(info, got), "%s", dir)

		assert.True(t, filepath.IsAbs(stage.Path("ca.pem")), "it is not below the working directory")
		t.Chdir(clone)
		assert.Equal(t, filepath.Join(".workshop", "ca.pem"), stage.Path("ca.pem"))
	})

	t.Run("is_in_the_users_cache_outside_of_a_clone", func(t *testing.T) {
		cache := t.TempDir()
		for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
			t.Setenv(name, cache)
		}
		t.Setenv("WORKSHOP_DIR", "")
		t.Chdir(t.TempDir())
		dir, err := stage.Dir()
		require.NoError(t, err)
		assert.Contains(t, dir, cache)
		assert.Equal(t, "clicktocode", filepath.Base(dir))
	})

	t.Run("says_what_to_do_when_it_cannot_be_made", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		t.Setenv("WORKSHOP_DIR", filepath.Join(file, "below"))
		_, err := stage.Dir()
		assert.ErrorContains(t, err, "set WORKSHOP_DIR")
	})
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key.pem")
	for _, text := range []string{"first", "second"} {
		require.NoError(t, stage.WriteFile(file, []byte(text), 0o600))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken"), 0o700))
	assert.Error(t, stage.WriteFile(filepath.Join(dir, "taken"), nil, 0o600))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2, "nothing else is left behind: %v", left)
}

// process is this test binary at work as a program, or as a program's parent.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *os.File
	out    *bufio.Reader // of stdout
	stderr *strings.Builder
}

// start starts a process that is gone when the test ends, with what set, unless nil,
// changes of it. Reading its output fails after a while.
func start(t *testing.T, as string, set func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], args...), stderr: new(strings.Builder)}
	p.cmd.Env = append(os.Environ(), "STAGE_TEST="+as, "GORACE=atexit_sleep_ms=0") // by default a race build takes a second to exit
	if set != nil {
		set(p.cmd)
	}
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	p.stdout, p.out = r, bufio.NewReader(r)
	p.cmd.Stdout, p.cmd.Stderr = w, p.stderr
	p.cmd.WaitDelay = time.Second
	require.NoError(t, p.cmd.Start())
	w.Close()
	_ = r.SetReadDeadline(time.Now().Add(patience)) // where pipes have deadlines
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		r.Close()
	})
	return p
}

// line is the next line of output.
func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	require.NoError(t, err, "no further line of output after %q", line)
	return line
}

// next is the next event.
func (p *process) next(t *testing.T) stage.Event {
	t.Helper()
	return decode(t, []byte(p.line(t)))
}

// exit waits for the end, and returns the exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(patience):
		assert.NoError(t, p.cmd.Process.Kill())
		<-done
		assert.Fail(t, "it did not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// run is a program's whole output and exit code.
func run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	p := start(t, "program", nil, args...)
	p.stdin.Close()
	out, err := io.ReadAll(p.out)
	require.NoError(t, err)
	return string(out), p.exit(t)
}

func decode(t *testing.T, line []byte) stage.Event {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(line)))
	dec.DisallowUnknownFields()
	var e stage.Event
	require.NoError(t, dec.Decode(&e), "%s", line)
	return e
}
