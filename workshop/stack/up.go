package stack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/proc"
)

// Deadlines of a stack.
const (
	readyWithin   = 30 * time.Second
	stopWithin    = 10 * time.Second // to let running requests finish
	restartAfter  = 2 * time.Second  // long enough to see that it is missing; doubled with each death in a row
	restartAtMost = 10 * time.Second
	steadyAfter   = 10 * time.Second // a role that lived as long counts from the start again
)

// Running is what up leaves for click: where the stack is.
type Running struct {
	PID     int    `json:"pid"`
	Chapter string `json:"chapter"`
	URL     string `json:"url"`
	Program string `json:"program"`
}

// runningName is the file that has it, in the clone's state folder.
const runningName = "up.json"

func runningFile(state string) string { return filepath.Join(state, runningName) }

// Up starts every role of p as a process of its own and keeps them running
// until ctx ends: a role that dies is started again. What happens is told to
// say, one call at a time: the roles' own events, "died" and "log" of them, and
// "up", once, when all are ready and Find finds them. The error says why the stack
// did not come up.
func (p *Program) Up(ctx context.Context, say func(Event)) error {
	s := &stack{program: p, say: say, ready: make(chan string), up: make(chan struct{}), fatal: make(chan error, len(p.Roles))}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var roles sync.WaitGroup
	for _, role := range p.Roles {
		roles.Go(func() { s.keep(running, role) })
	}
	err := s.come(running)
	if err == nil {
		if err = s.announce(); err == nil {
			s.tell(Event{Event: "up"})
			<-running.Done()
			os.Remove(runningFile(p.State))
		}
	}
	stop()
	roles.Wait()
	return err
}

type stack struct {
	program *Program

	mu  sync.Mutex // guards say
	say func(Event)

	ready chan string   // a role's name, each time that it is ready before up
	up    chan struct{} // closed when all have been
	fatal chan error    // a role that failed at its first start
}

func (s *stack) tell(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	s.say(e)
}

// come waits until all roles are ready, and closes up.
func (s *stack) come(ctx context.Context) error {
	late := time.NewTimer(readyWithin)
	defer late.Stop()
	missing := map[string]bool{}
	for _, role := range s.program.Roles {
		missing[role.Name] = true
	}
	for len(missing) > 0 {
		select {
		case name := <-s.ready:
			delete(missing, name)
		case err := <-s.fatal:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
			return fmt.Errorf("not ready after %s: %v; what the roles printed stands above", readyWithin, missing)
		}
	}
	close(s.up)
	return nil
}

// announce writes down where the stack is, whole or not at all: it may be killed at any
// moment. The last one to come up is found.
func (s *stack) announce() error {
	p := s.program
	text, err := json.Marshal(Running{PID: os.Getpid(), Chapter: p.Chapter.Name, URL: p.URL, Program: p.Path})
	if err != nil {
		return fmt.Errorf("stack: %w", err)
	}
	if err := course.Write(p.State, map[string][]byte{runningName: text}); err != nil {
		return fmt.Errorf("stack: %w", err)
	}
	return nil
}

// keep runs a role until ctx ends, and again when it dies.
func (s *stack) keep(ctx context.Context, role Role) {
	socket, err := holding(role)
	if err != nil {
		s.fatal <- fmt.Errorf("%s did not start: %w", role.Name, err)
		return
	}
	if socket != nil {
		defer socket.Close()
	}
	wait := restartAfter
	wasReady := false
	for {
		began := time.Now()
		ready, err := s.run(ctx, role, socket)
		wasReady = wasReady || ready
		if ctx.Err() != nil {
			return
		}
		if !wasReady { // a port that is taken, a file that is not there: once more would not help
			s.fatal <- fmt.Errorf("%s did not start: %w", role.Name, err)
			return
		}
		if time.Since(began) > steadyAfter {
			wait = restartAfter
		}
		s.tell(Event{Event: "died", Role: role.Name, Summary: fmt.Sprintf("%v; it starts again in %s", err, wait)})
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, restartAtMost)
	}
}

// holding opens the socket of a role that wants it kept: while the role is started
// again, connections wait in it. Windows cannot hand one on, and gets nil.
func holding(role Role) (*os.File, error) {
	if !role.Held || runtime.GOOS == "windows" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", role.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w. Another program may be using the address: end it, or set %s_ADDR to a free one", err, strings.ToUpper(role.Name))
	}
	defer ln.Close() // the file has a descriptor of its own
	return ln.(*net.TCPListener).File()
}

// run runs a role once, with the socket that is kept for it, if any. ready says
// whether it got as far as serving.
func (s *stack) run(ctx context.Context, role Role, socket *os.File) (ready bool, err error) {
	cmd := s.program.command("-role", role.Name, "-events")
	if socket != nil { // systemd's way: see sd_listen_fds(3)
		cmd.ExtraFiles = []*os.File{socket}
		cmd.Env = append(cmd.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES="+role.Name)
	}
	// When this process ends, however it does, the pipe closes, and the role ends itself.
	alive, err := cmd.StdinPipe()
	if err != nil {
		return false, fmt.Errorf("stack: %w", err)
	}
	defer alive.Close()
	outRead, outWrite := io.Pipe()
	logRead, logWrite := io.Pipe()
	cmd.Stdout, cmd.Stderr = outWrite, logWrite

	failed := ""
	var readers sync.WaitGroup
	readers.Go(func() {
		lines(outRead, func(line string) {
			var e Event
			if err := decode([]byte(line), &e); err != nil {
				e = Event{Event: "log", Role: role.Name, Summary: line}
			}
			if e.Event == "failed" {
				failed = e.Error
				return
			}
			s.tell(e)
			if e.Event == "ready" {
				ready = true
				select {
				case s.ready <- role.Name:
				case <-s.up: // it was started again
				case <-ctx.Done():
				}
			}
		})
	})
	readers.Go(func() {
		lines(logRead, func(line string) { s.tell(Event{Event: "log", Role: role.Name, Summary: line}) })
	})
	running, err := proc.Start(ctx, stopWithin, cmd)
	if err == nil {
		err = running.Wait()
	}
	outWrite.Close()
	logWrite.Close()
	readers.Wait()
	switch {
	case failed != "":
		err = errors.New(failed)
	case err == nil:
		err = errors.New("it ended by itself")
	}
	return ready, err
}

// lines calls each with every line of r, until r ends.
func lines(r io.Reader, each func(string)) {
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := in.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			each(line)
		}
		if err != nil {
			return
		}
	}
}
