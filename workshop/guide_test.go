//go:build unix

package main

import (
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// terminal is the guide on a terminal of its own.
type terminal struct {
	*classroom
	cmd    *exec.Cmd
	tty    io.ReadWriteCloser
	screen vt10x.Terminal
	done   chan error
}

func (c *classroom) sit(args ...string) *terminal {
	c.t.Helper()
	s := &terminal{classroom: c, cmd: c.command(args...), screen: vt10x.New(vt10x.WithSize(100, 40)), done: make(chan error, 1)}
	s.cmd.Env = append(s.cmd.Env, "TERM=xterm-256color")
	tty, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 40, Cols: 100})
	require.NoError(c.t, err)
	s.tty = tty
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 1<<16)
		for {
			n, err := tty.Read(buf)
			s.screen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { s.done <- s.cmd.Wait() }()
	c.t.Cleanup(func() { s.cmd.Process.Kill(); tty.Close(); <-read })
	return s
}

// text is what stands on the screen.
func (s *terminal) text() string {
	var lines []string
	for _, line := range strings.Split(s.screen.String(), "\n") {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return strings.Join(lines, "\n")
}

// shows waits until all texts stand on the screen at once, and none of those behind "!".
func (s *terminal) shows(texts ...string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		screen := s.text()
		for _, text := range texts {
			text, not := strings.CutPrefix(text, "!")
			if strings.Contains(screen, text) == not {
				return false
			}
		}
		return true
	}, 30*time.Second, 20*time.Millisecond, "the screen does not show %q; it shows:\n%s", texts, (*lazyScreen)(s))
}

// lazyScreen is the screen as it is when a message is printed, not when it is made.
type lazyScreen terminal

func (s *lazyScreen) String() string { return (*terminal)(s).text() }

func (s *terminal) press(keys string) {
	s.t.Helper()
	_, err := io.WriteString(s.tty, keys)
	require.NoError(s.t, err)
}

func (s *terminal) ends() {
	s.t.Helper()
	select {
	case err := <-s.done:
		require.NoError(s.t, err)
	case <-time.After(20 * time.Second):
		require.FailNow(s.t, "the guide does not end", "it shows:\n%s", s.text())
	}
}

const solvedHello = `package hello

import "strings"

const Language = "en"

func To(name string) string {
	if strings.TrimSpace(name) == "" {
		name = "stranger"
	}
	return "Hello, " + name + "!"
}
`

func TestGuide(t *testing.T) {
	t.Run("leads_from_exercise_to_exercise", func(t *testing.T) {
		s := newClassroom(t).sit()
		s.shows("0 of 2 solved", "1.1  Say hello: greetings", "01-greet/exercise/hello/hello.go:9",
			"Return a greeting for the name.", "✗ TestTo/greets_by_name", "a greeting has the name in it", "!stranger", "!mistake that many")

		s.press("h")
		s.shows("Hint 1 of 2", "Look into the package words", "!TrimSpace")
		s.press("h")
		s.shows("Hint 2 of 2", "TrimSpace")
		s.press("h")
		s.shows("that were all hints")

		// A save that does not compile, one that makes a known mistake, one that is right.
		s.write("hello", "package hello\n\nfunc To(name string) string { return nobody }\n")
		s.shows("hello not built", "exercise/hello/hello.go:3", "It does not compile: undefined: nobody", "!TestTo/")
		s.write("hello", "package hello\n\nfunc To(name string) string { return \"Hello, \" + name + \"!\" }\n")
		s.shows("✗ TestTo/greets_a_stranger", "It looks like a mistake that many make", "It greets a name that is only blanks", "!not built")
		s.write("hello", solvedHello)
		s.shows("1 of 2 solved", "✓ hello is solved", "Run the stack, and click", "1.2  Count the guests", "✗ TestFrom/counts_from_0")

		s.press("l")
		s.shows("Then the guests are counted")
		s.press("l")
		s.shows("Count down to one", "!Then the guests")
		s.press("d")
		s.shows("for ; n > 0; n-- {")
		s.press("o")
		s.shows("--- FAIL: TestFrom/counts_from_0")
		s.press("e")
		s.shows("✓ 1.1", "> ✗ 1.2")
		s.press("k\r")
		s.shows("1.1  Say hello: greetings", "✓ hello is solved", "!1.2")
		s.press("n")
		s.shows("1.2  Count the guests", "✗ TestFrom")

		// Saving another exercise turns to it.
		s.write("hello", "package hello\n\nfunc To(name string) string { return \"\" }\n")
		s.shows("0 of 2 solved", "1.1  Say hello", "✗ TestTo/greets_by_name")
		s.write("hello", solvedHello)
		s.shows("1.2  Count the guests")
		s.run("solve", "countdown")
		s.shows("2 of 2 solved", "All 2 exercises are solved", "go run ./workshop up --mine")
		s.press("q")
		s.ends()
	})

	t.Run("cancels_a_run_for_a_newer_save", func(t *testing.T) {
		s := newClassroom(t).sit()
		s.shows("✗ TestTo/greets_by_name")
		s.write("hello", stubborn)
		s.shows("testing hello")
		s.write("hello", solvedHello)
		s.shows("✓ hello is solved")
		s.press("\x03")
		s.ends()
	})

	t.Run("ends_on_SIGTERM_and_leaves_the_terminal_as_it_was", func(t *testing.T) {
		s := newClassroom(t).sit()
		s.shows("waiting for a save")
		require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
		s.ends()
		s.shows("!waiting for a save")
		assert.True(t, s.screen.CursorVisible())
	})
}

func TestPlainGuide(t *testing.T) {
	c := newClassroom(t)
	r := &running{classroom: c, cmd: c.command("watch", "--plain"), out: &transcript{}, done: make(chan error, 1)}
	stdin, err := r.cmd.StdinPipe()
	require.NoError(t, err)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	require.NoError(t, r.cmd.Start())
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() { r.cmd.Process.Kill() })

	say := func(line string) {
		_, err := io.WriteString(stdin, line+"\n")
		require.NoError(t, err)
	}
	r.prints("a greeting has the name in it", 1)
	say("h")
	r.prints("Look into the package words", 1)
	say("l")
	r.prints("A visit starts with a greeting", 1)
	say("d")
	r.prints("+\tif strings.TrimSpace(name)", 1)
	say("x")
	r.prints(`There is no key "x"`, 1)
	say("e")
	r.prints("1.2  countdown", 1)
	say("e countdown")
	r.prints("1.2  Count the guests", 1)
	say("e nonsense")
	r.prints(`there is no exercise "nonsense"`, 1)
	c.write("hello", solvedHello)
	r.prints("hello saved, testing", 1)
	r.prints("✓ hello is solved", 1)
	r.prints("Run the stack, and click", 1)
	r.prints("✗ TestFrom/counts_from_0", 1)
	assert.NotContains(t, r.out.String(), "\x1b", "without a terminal nothing is painted")
	say("q")
	require.NoError(t, r.ends())
}
