package main

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// classroom is a copy of the made-up course, and all processes started in it.
type classroom struct {
	t    testing.TB
	dir  string
	addr string // of the greeter
	env  []string
	mark string // in the environment of every process
}

func newClassroom(t testing.TB) *classroom {
	c := emptyClassroom(t)
	copyCourse(t, c.dir)
	return c
}

// emptyClassroom has no course in it yet.
func emptyClassroom(t testing.TB) *classroom {
	c := &classroom{t: t, dir: filepath.Join(t.TempDir(), "course"), addr: freeAddr(t), mark: "WORKSHOP_TEST_MARK=" + rand.Text()}
	c.env = append(append(os.Environ(), goEnv(t)...), "GREET_ADDR="+c.addr, c.mark)
	t.Cleanup(func() { c.nobodyLeft("at the test's end") })
	return c
}

func (c *classroom) command(args ...string) *exec.Cmd {
	cmd := exec.Command("workshop", args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	return cmd
}

// run runs the tool and returns what it printed, errors and all.
func (c *classroom) run(args ...string) string {
	out, _ := c.command(args...).CombinedOutput() // a verb may well be red
	return string(out)
}

func (c *classroom) write(exercise, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, "01-greet", "exercise", exercise, exercise+".go")
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o644))
}

// running is the tool at work in the background.
type running struct {
	*classroom
	cmd  *exec.Cmd
	out  *transcript
	done chan error
}

func (c *classroom) start(args ...string) *running {
	c.t.Helper()
	r := &running{classroom: c, cmd: c.command(args...), out: &transcript{}, done: make(chan error, 1)}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	require.NoError(c.t, r.cmd.Start())
	go func() { r.done <- r.cmd.Wait() }()
	c.t.Cleanup(func() { r.cmd.Process.Kill() })
	return r
}

// prints waits until the tool has printed text n times.
func (r *running) prints(text string, n int) {
	r.t.Helper()
	for late := time.Now().Add(30 * time.Second); strings.Count(r.out.String(), text) < n; time.Sleep(2 * time.Millisecond) {
		require.True(r.t, time.Now().Before(late), "%q was not printed %d times; there is:\n%s", text, n, r.out)
	}
}

// ends waits for the tool's end.
func (r *running) ends() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(20 * time.Second):
		require.FailNow(r.t, "it does not end", "it printed:\n%s", r.out)
		return nil
	}
}

// transcript is a buffer that may be read while it is written.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// nobodyLeft checks that no process of the classroom is alive. It can tell on Linux.
func (c *classroom) nobodyLeft(when string) {
	c.t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	var left []string
	deadline := time.Now().Add(5 * time.Second)
	for {
		left = nil
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range environs {
			env, err := os.ReadFile(path)
			if err == nil && bytes.Contains(env, []byte(c.mark)) {
				line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
				left = append(left, filepath.Base(filepath.Dir(path))+" "+strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	assert.Empty(c.t, left, "processes are left %s", when)
}

func TestUp(t *testing.T) {
	t.Run("runs_the_stack_and_ends_on_an_interrupt", func(t *testing.T) {
		c := newClassroom(t)
		assert.Contains(t, c.run("click"), "no stack is running")
		up := c.start("up")
		up.prints("Ctrl-C ends it", 1)
		assert.Contains(t, up.out.String(), "greeter  listens on "+c.addr)
		assert.Contains(t, up.out.String(), "say hello\n      go run ./workshop click")

		clicked := c.run("click")
		assert.Contains(t, clicked, "http://"+c.addr+"/  200  HTTP/1.1")
		assert.Contains(t, clicked, "en Hello, Ada! [3 2 1]")
		assert.Contains(t, clicked, "the greeter")
		assert.Equal(t, 2, strings.Count(c.run("click", "--json", "-n", "2"), `"status":200`))
		up.prints("GET /", 3)
		assert.Contains(t, c.run("up"), "the stack of 01-greet is running already")

		require.NoError(t, up.cmd.Process.Signal(os.Interrupt))
		require.NoError(t, up.ends(), "an interrupt is how up ends, and no error")
		assert.Contains(t, up.out.String(), "stopped")
		assert.NoFileExists(t, filepath.Join(c.dir, ".workshop", "up.json"))
		_, err := net.Dial("tcp", c.addr)
		assert.Error(t, err, "nobody listens any more")
	})

	t.Run("restarts_a_role_that_dies", func(t *testing.T) {
		c := newClassroom(t)
		up := c.start("up")
		up.prints("Ctrl-C ends it", 1)
		_, err := http.Get("http://" + c.addr + "/die")
		require.Error(t, err, "the greeter dies of this")
		up.prints("died: exit status 7", 1)
		up.prints("listens on "+c.addr, 2)
		assert.Contains(t, c.run("click"), "200")
		require.NoError(t, up.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, up.ends())
	})

	t.Run("leaves_nobody_when_it_is_killed", func(t *testing.T) {
		c := newClassroom(t)
		up := c.start("up")
		up.prints("Ctrl-C ends it", 1)
		require.NoError(t, up.cmd.Process.Kill())
		_ = up.ends()
		c.nobodyLeft("after SIGKILL")
		assert.Contains(t, c.run("click"), "no stack is running", "what it left behind in .workshop is no stack")
	})

	t.Run("says_what_to_do_when_a_port_is_taken", func(t *testing.T) {
		c := newClassroom(t)
		ln, err := net.Listen("tcp", c.addr)
		require.NoError(t, err)
		defer ln.Close()
		up := c.start("up")
		require.Error(t, up.ends())
		assert.Contains(t, up.out.String(), "greeter did not start: ")
		assert.Contains(t, up.out.String(), "choose another GREET_ADDR")
	})

	t.Run("puts_the_learners_solved_packages_in", func(t *testing.T) {
		c := newClassroom(t)
		c.write("countdown", `package countdown

// From is the learner's: it passes the tests, and adds a touch of its own.
func From(n int) []int {
	all := []int{}
	for i := range n {
		all = append(all, n-i)
	}
	if n == 3 {
		all = append(all, 42)
	}
	return all
}
`)
		// Solved, but the constant that main needs is gone.
		c.write("hello", `package hello

import "strings"

func To(name string) string {
	if strings.TrimSpace(name) == "" {
		name = "stranger"
	}
	return "Hello, " + name + "!"
}
`)
		up := c.start("up", "--mine")
		up.prints("Ctrl-C ends it", 1)
		assert.Contains(t, up.out.String(), "Yours: countdown. The rest is the reference.")
		assert.Contains(t, up.out.String(), "hello is solved, but does not fit the others, so the reference takes its place")
		assert.Contains(t, up.out.String(), "undefined: hello.Language")
		assert.Contains(t, c.run("click"), "en Hello, Ada! [3 2 1 42]")
		require.NoError(t, up.cmd.Process.Signal(os.Interrupt))
		require.NoError(t, up.ends())
	})
}

// stubborn is an exercise that does not want to end: it ignores interrupts,
// and has started another process.
const stubborn = `package hello

import (
	"os"
	"os/exec"
	"os/signal"
)

func To(name string) string {
	signal.Ignore(os.Interrupt)
	exec.Command("sleep", "300").Run()
	return ""
}
`

// TestNoOrphans stops every verb that starts processes, at several moments of
// its life.
func TestNoOrphans(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks for processes in /proc, which only Linux has")
	}
	if testing.Short() {
		t.Skip("it takes a minute; run it without -short")
	}
	for _, args := range [][]string{
		{"test", "hello"}, {"watch", "--plain"}, {"progress"}, {"verify"}, {"doctor"}, {"up"}, {"up", "--mine"}, {"click"},
		{"lesson"}, {"hint"}, {"diff", "hello"}, {"generate"}, {"solve", "countdown"}, {"reset", "countdown"}, {"new", "01-greet/farewell"},
	} {
		for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			t.Run(strings.ReplaceAll(strings.Join(args, "_"), "/", "_")+"_"+signal.String(), func(t *testing.T) {
				c := newClassroom(t)
				c.write("hello", stubborn)
				for _, after := range []time.Duration{5 * time.Millisecond, 60 * time.Millisecond, 250 * time.Millisecond, 900 * time.Millisecond} {
					r := c.start(args...)
					select { // the moment is what varies here; nothing is waited for
					case <-time.After(after):
					case <-r.done:
						continue
					}
					require.NoError(t, r.cmd.Process.Signal(signal))
					_ = r.ends()
					c.nobodyLeft("after " + signal.String() + " at " + after.String())
				}
			})
		}
	}

	t.Run("when_the_parent_is_killed", func(t *testing.T) {
		// As with `go run ./workshop up`, when somebody kills `go run`.
		c := newClassroom(t)
		r := &running{classroom: c, cmd: exec.Command("sh", "-c", "workshop up; true"), out: &transcript{}, done: make(chan error, 1)}
		r.cmd.Dir, r.cmd.Env = c.dir, c.env
		stdout, err := r.cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, r.cmd.Start())
		go func() { _, _ = io.Copy(r.out, stdout) }()
		r.prints("Ctrl-C ends it", 1)
		require.NoError(t, r.cmd.Process.Kill())
		c.nobodyLeft("after the parent was killed")
		_ = r.cmd.Wait()
	})
}
