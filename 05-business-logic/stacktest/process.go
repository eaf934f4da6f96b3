package stacktest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

// Processes are roles each of which is a process of its own, which can be killed and
// started again. Methods may be called by many goroutines at once, for different roles;
// where they take several, they look after all of them side by side. Call Close in the
// end.
type Processes struct {
	Program string       // which calls stage.Main
	Env     []string     // of each, whole
	Roles   []stage.Role // of which those that are Held have their socket kept

	mu      sync.Mutex // guards what follows
	running map[string]*process
	doors   map[string]*os.File // sockets that are kept while their role is started again
}

// process is a role at work.
type process struct {
	cmd          *exec.Cmd
	stdin        io.Closer // at whose end it ends
	ready, ended chan struct{}
	err          error // of its end; read after ended
	said         *logs
}

// Start runs roles, and returns when they are ready.
func (ps *Processes) Start(names ...string) error { return each(names, ps.start) }

// Stop tells roles to end, as `workshop up` does, and waits for it. An end that is not in
// good order is an error. One that does not run is none.
func (ps *Processes) Stop(names ...string) error { return each(names, ps.stop) }

// Restart is Stop and Start, of each by itself.
func (ps *Processes) Restart(names ...string) error {
	return each(names, func(name string) error { return errors.Join(ps.stop(name), ps.start(name)) })
}

// Close stops all roles, together.
func (ps *Processes) Close() error {
	err := ps.Stop(slices.Collect(maps.Values(ps.PIDs()))...)
	for _, door := range ps.doors {
		err = errors.Join(err, door.Close())
	}
	return err
}

// PIDs are the roles that run, by their process ID.
func (ps *Processes) PIDs() map[int]string {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	roles := map[int]string{}
	for name, p := range ps.running {
		roles[p.cmd.Process.Pid] = name
	}
	return roles
}

func each(names []string, do func(name string) error) error {
	faults := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { faults[i] = do(name) })
	}
	all.Wait()
	return errors.Join(faults...)
}

func (ps *Processes) start(name string) error {
	p := &process{cmd: exec.Command(ps.Program, "-role", name, "-events"), ready: make(chan struct{}), ended: make(chan struct{}), said: new(logs)}
	p.cmd.Env, p.cmd.Stderr = ps.Env, p.said
	if watched() {
		p.cmd.Stderr = io.MultiWriter(p.said, os.Stderr)
	}
	door, err := ps.door(name)
	if err != nil {
		return err
	}
	if door != nil {
		p.cmd.ExtraFiles = []*os.File{door}
		p.cmd.Env = append(slices.Clone(ps.Env), "LISTEN_FDS=1", "LISTEN_FDNAMES="+name)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go p.listen(stdout)
	ps.mu.Lock()
	if ps.running == nil {
		ps.running = map[string]*process{}
	}
	ps.running[name] = p
	ps.mu.Unlock()
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("%s ended before it was ready: %v\n%s", name, p.err, p.said)
	case <-time.After(Patience):
		return fmt.Errorf("%s is not ready after %v\n%s", name, Patience, p.said)
	}
}

// door is the socket that is kept for a role, or nil.
func (ps *Processes) door(name string) (*os.File, error) {
	i := slices.IndexFunc(ps.Roles, func(r stage.Role) bool { return r.Name == name && r.Held })
	if i < 0 || runtime.GOOS == "windows" {
		return nil, nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.doors[name] == nil {
		ln, err := net.Listen("tcp", ps.Roles[i].Addr)
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		file, err := ln.(*net.TCPListener).File()
		if err != nil {
			return nil, err
		}
		if ps.doors == nil {
			ps.doors = map[string]*os.File{}
		}
		ps.doors[name] = file
	}
	return ps.doors[name], nil
}

// listen reads a process's events, to its end.
func (p *process) listen(stdout io.Reader) {
	defer close(p.ended)
	for in := bufio.NewReader(stdout); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		if bytes.Contains(line, []byte(`"event":"request"`)) {
			continue // there are thousands a second, and nobody reads them here
		}
		var e stage.Event
		if json.Unmarshal(line, &e) != nil || e.Event == stage.Failed {
			_, _ = p.said.Write(line)
		}
		if e.Event == stage.Ready {
			close(p.ready)
		}
	}
	p.err = p.cmd.Wait()
}

// take is the process of a role, which is nobody's from now on, or nil.
func (ps *Processes) take(name string) *process {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.running[name]
	delete(ps.running, name)
	return p
}

func (ps *Processes) stop(name string) error {
	p := ps.take(name)
	if p == nil {
		return nil
	}
	_ = p.stdin.Close()
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("%s did not end in good order: %w\n%s", name, p.err, p.said)
		}
		return nil
	case <-time.After(Patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end\n%s", name, p.said)
	}
}

// Kill ends a role as kill -9 does: it has no time for anything. It returns when the
// process is gone. One that was gone before is an error.
func (ps *Processes) Kill(name string) error {
	p := ps.take(name)
	if p == nil {
		return fmt.Errorf("%s does not run", name)
	}
	select {
	case <-p.ended:
		return fmt.Errorf("%s had ended before: %v\n%s", name, p.err, p.said)
	default:
	}
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
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
