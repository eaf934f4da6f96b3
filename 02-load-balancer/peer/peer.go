// Package peer runs servers that others wrote (nginx, HAProxy, Caddy), so that
// ours can be held against them: a suite that they pass is true, and a
// benchmark needs somebody to be compared with.
//
// Each runs in the foreground, as a process of its own, on a free loopback
// port, with a configuration that the caller writes and a temporary folder that
// goes with it. Nothing of the machine's own configuration is read, and none of
// its services is touched.
package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is one of the servers that can be started.
type Program string

// The programs.
const (
	Nginx   Program = "nginx"
	HAProxy Program = "haproxy"
	Caddy   Program = "caddy"
)

const (
	readyTime = 10 * time.Second // to the first connection
	grace     = 2 * time.Second  // to end by itself, once asked to
)

// MissingError is that a program is not installed. Its text says how to get it.
type MissingError struct{ Program Program }

func (e *MissingError) Error() string {
	install := "apt-get install " + string(e.Program)
	switch runtime.GOOS {
	case "darwin":
		install = "brew install " + string(e.Program)
	case "windows":
		return fmt.Sprintf("peer: %s is run on Linux and macOS only", e.Program)
	}
	return fmt.Sprintf("peer: %s is not installed: %s", e.Program, install)
}

// Find returns where the program is: on the PATH, or where packages put servers,
// which is not on the PATH of everybody. The error is a *MissingError.
func (p Program) Find() (path string, err error) {
	if runtime.GOOS == "windows" { // nginx has no workers there, and there is no HAProxy
		return "", &MissingError{p}
	}
	for _, name := range []string{string(p), "/usr/sbin/" + string(p), "/usr/local/sbin/" + string(p), "/opt/homebrew/bin/" + string(p)} {
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &MissingError{p}
}

// Version is the number that the program gives itself, such as "1.22.1".
func (p Program) Version() (string, error) {
	path, err := p.Find()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	arg := map[Program]string{Nginx: "-v", HAProxy: "-v", Caddy: "version"}[p]
	out, err := exec.CommandContext(ctx, path, arg).CombinedOutput()
	number := regexp.MustCompile(`\d+(\.\d+)+`).Find(out)
	if err == nil && number == nil {
		err = errors.New("no number in it")
	}
	if err != nil {
		return "", fmt.Errorf("peer: %s %s: %q: %w", path, arg, out, err)
	}
	return string(number), nil
}

// command is the command line that runs p in dir in the foreground, with the
// configuration in file, and what that is to hold beside text.
func (p Program) command(dir, file, text string) (args []string, config string) {
	switch p {
	case Nginx:
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;\n" // its workers would give root away, and have no right to dir
		}
		text = fmt.Sprintf("%sworker_processes auto;\nworker_rlimit_nofile 8192;\nevents { worker_connections 4096; }\nhttp {\n"+
			"client_body_temp_path %[2]s/body;\nproxy_temp_path %[2]s/proxy;\nfastcgi_temp_path %[2]s/fastcgi;\nuwsgi_temp_path %[2]s/uwsgi;\nscgi_temp_path %[2]s/scgi;\n"+
			"%[3]s\n}\n", user, dir, text)
		return []string{"-e", "stderr", "-p", dir, "-c", file, "-g", "daemon off; pid " + dir + "/pid; lock_file " + dir + "/lock;"}, text
	case HAProxy:
		return []string{"-db", "-f", file}, text
	}
	return []string{"run", "--adapter", "caddyfile", "--config", file}, text
}

// Peer is a server that runs. Its methods may be called by many goroutines.
type Peer struct {
	// Addr is where it listens: 127.0.0.1 and a port.
	Addr string
	// Dir is its folder. It is removed by Close.
	Dir string

	cmd    *exec.Cmd
	cancel context.CancelFunc
	ended  chan struct{}
	output output
}

// Start starts p, and returns once it takes connections at an address that was
// free. It ends with Close, or when ctx is done, and on Linux also when this
// process ends in any way. Close has to be called all the same.
//
// config writes the configuration: one that listens at addr, and keeps its files
// in dir. It may write files there, and take more addresses by Addr; it may be
// called again, if another process took an address in between. Of Nginx it
// returns what stands in the http block; of HAProxy and Caddy the whole, Caddy's
// as a Caddyfile.
//
// The error is a *MissingError where the program is not installed. Otherwise it
// holds what the program said.
func Start(ctx context.Context, p Program, config func(dir, addr string) string) (*Peer, error) {
	path, err := p.Find()
	if err != nil {
		return nil, err
	}
	for range 3 {
		var started *Peer
		if started, err = start(ctx, p, path, config); err == nil {
			return started, nil
		}
		if !strings.Contains(err.Error(), "in use") {
			break
		}
	}
	return nil, err
}

func start(ctx context.Context, program Program, path string, config func(dir, addr string) string) (*Peer, error) {
	addr, err := Addr()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", string(program)+"-")
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Peer{Addr: addr, Dir: dir, cancel: cancel, ended: make(chan struct{})}
	file := filepath.Join(dir, "config")
	args, text := program.command(dir, file, config(dir, addr))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		close(p.ended)
		return nil, errors.Join(fmt.Errorf("peer: %w", err), p.Close())
	}
	p.cmd = exec.CommandContext(ctx, path, args...)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = grace // then it is killed
	endWithParent(p.cmd)
	if err := p.run(); err != nil {
		return nil, errors.Join(fmt.Errorf("peer: %w", err), p.Close())
	}
	if err := p.ready(ctx); err != nil {
		err = errors.Join(fmt.Errorf("peer: %s is not ready: %w", program, err), p.Close())
		return nil, fmt.Errorf("%w; it said:\n%s", err, p.Output())
	}
	return p, nil
}

// run starts the process. A goroutine of its own waits for it, on a thread of
// its own: on Linux, "the parent has ended" means the thread that started it.
func (p *Peer) run() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // what it said is told with what failed because of it
		}
	}()
	return <-started
}

// ready waits until connections are taken.
func (p *Peer) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.Addr)
		if err == nil {
			_ = conn.Close()
			return nil
		}
		select {
		case <-p.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("%w, and then %w", err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Pid is the process's ID. An nginx of that ID has workers that are its children.
func (p *Peer) Pid() int { return p.cmd.Process.Pid }

// Output is what the program has said so far, on standard output and standard
// error.
func (p *Peer) Output() string { return p.output.String() }

// Close ends the program, waits for its end, and removes its folder. It may be
// called more than once.
func (p *Peer) Close() error {
	p.cancel()
	<-p.ended
	if err := os.RemoveAll(p.Dir); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	return nil
}

// Addr returns an address on loopback that is free: for now, since nobody holds
// it. Its port is below those that systems choose for "port 0", so that it can
// only be lost to another that is looked for in this way.
func Addr() (string, error) {
	var err error
	for range 100 {
		var ln net.Listener
		if ln, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			return ln.Addr().String(), ln.Close()
		}
	}
	return "", fmt.Errorf("peer: no free port: %w", err)
}

// output keeps the beginning of what is written to it: it is there that a server
// says why it does not start, and one that is loud for an hour fills no memory.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

const maxOutput = 64 << 10

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p[:min(len(p), maxOutput-o.text.Len())])
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
