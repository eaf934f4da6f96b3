package backing

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
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memcachedVariable, in the environment, makes a process the supervisor of a
// memcached: see the package's documentation.
const memcachedVariable = "CLICKTOCODE_MEMCACHED_SUPERVISOR"

func init() {
	if os.Getenv(memcachedVariable) == "" {
		return
	}
	_ = os.Unsetenv(memcachedVariable)
	superviseMemcached(os.Stdin, os.Stdout)
	os.Exit(0)
}

// memcachedJob is what its supervisor is asked to do, as a line of JSON.
type memcachedJob struct {
	Path      string
	Account   *account
	Addr      string // a port of 0: any
	Mebibytes int64
}

// superviseMemcached is all that the supervisor's process does. It reads a job, and
// then stops the server at the end of in, which is the end of the parent. See
// supervisor, for a cluster, of which it is the simpler sister: nothing has to be
// written down, so every stop is a kill.
func superviseMemcached(in io.Reader, out io.Writer) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE)
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	var j memcachedJob
	if err != nil || json.Unmarshal(line, &j) != nil {
		return // the parent was gone before it could say what to do
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = lines.ReadByte()
		cancel()
	}()
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM { // the others are meant for the service
				cancel()
			}
		}
	}()
	say := func(r report) {
		_, _ = out.Write(encode(r)) // nobody may be left to be told
	}
	m, err := newMemcachedServer(ctx, j)
	if err != nil {
		say(report{Error: err.Error()})
		return
	}
	say(report{Addr: m.addr, PID: m.cmd.Process.Pid})
	select {
	case <-ctx.Done():
		m.kill()
		say(report{})
	case <-m.ended:
		say(report{Error: fmt.Sprintf("memcached (process %d) has ended by itself: %s", m.cmd.Process.Pid, m.ending())})
	}
}

// memcachedServer is a memcached's process.
type memcachedServer struct {
	memcachedJob
	addr  string
	cmd   *exec.Cmd
	said  beginning
	ended chan struct{} // closed when the process has ended
	exit  error         // how; read after ended
}

// newMemcachedServer starts memcached, and returns when it answers. On an error
// nothing is left. It must run on a thread that lasts as long as the process: on
// Linux the server ends with the thread that started it.
func newMemcachedServer(ctx context.Context, j memcachedJob) (*memcachedServer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("memcached did not answer within 10 s"))
	defer cancel()
	host, port, err := net.SplitHostPort(j.Addr)
	if err != nil {
		return nil, err
	}
	const attempts = 10
	for range attempts {
		p := port
		if port == "0" {
			if p, err = freePort(host); err != nil {
				return nil, err
			}
		}
		m := &memcachedServer{memcachedJob: j, addr: net.JoinHostPort(host, p), ended: make(chan struct{})}
		if err = m.launch(ctx, host, p); err == nil {
			return m, nil
		}
		if !errors.Is(err, errAddressInUse) {
			return nil, err
		}
		// Another process took the port between our look and memcached's. Or the address
		// was asked for, and the former server there is about to end with its parent.
		if port != "0" {
			select {
			case <-ctx.Done():
				return nil, err
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil, err
}

func (m *memcachedServer) launch(ctx context.Context, host, port string) error {
	m.cmd = exec.Command(m.Path, "-l", host, "-p", port, "-U", "0",
		"-m", strconv.FormatInt(m.Mebibytes, 10),
		"-t", "1") // one thread answers more than this workshop asks, and four take ten times as long to start
	m.cmd.Dir, m.cmd.Env = os.TempDir(), serverEnv()
	m.cmd.Stdout, m.cmd.Stderr = &m.said, &m.said
	m.cmd.WaitDelay = time.Second
	runAs(m.cmd, m.Account) // by memcached's own -u, Linux would forget to tell it of our end
	leadGroup(m.cmd)
	if err := startTied(m.cmd); err != nil {
		return err
	}
	go func() {
		defer close(m.ended)
		m.exit = m.cmd.Wait()
	}()
	for {
		// Another server may have the port, and answer. It has another number.
		pid, err := askMemcached(ctx, m.addr, "stats")
		if err == nil && pid == strconv.Itoa(m.cmd.Process.Pid) {
			return nil
		}
		select {
		case <-m.ended:
			if strings.Contains(m.said.String(), "in use") {
				return fmt.Errorf("%w: %s: %s", errAddressInUse, m.addr, m.ending())
			}
			return fmt.Errorf("memcached does not start: %s", m.ending())
		case <-ctx.Done():
			m.kill()
			return context.Cause(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// kill ends the process and waits for it. It loses nothing: all is in memory.
// (Asked kindly, memcached takes a second to end its threads.)
func (m *memcachedServer) kill() {
	_ = m.cmd.Process.Kill()
	<-m.ended
}

// ending says how the process ended.
func (m *memcachedServer) ending() string {
	how := "with exit status 0"
	if m.exit != nil {
		how = m.exit.Error()
	}
	return how + indented(strings.TrimSpace(m.said.String()))
}

// beginning keeps the beginning of what is written to it: there a server says why it
// does not start. One that is loud for an hour fills no memory.
type beginning struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (b *beginning) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), 2<<10-len(b.text))]...)
	return len(p), nil
}

func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// runningMemcached is a supervised memcached as its parent sees it.
type runningMemcached struct {
	*running
	version string
}

// startMemcached starts a supervisor, and returns when its server answers.
func startMemcached(ctx context.Context, j memcachedJob) (*runningMemcached, error) {
	self, err := executable()
	if err != nil {
		return nil, err
	}
	in, asks, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	reports, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, asks.Close())
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"backing: supervisor of memcached"}
	cmd.Env = append(os.Environ(), memcachedVariable+"=1",
		"GORACE=atexit_sleep_ms=0") // built with -race, it would take a second to end
	cmd.Dir = os.TempDir() // ours may be removed: a test's
	cmd.Stdin, cmd.Stdout = in, out
	leadGroup(cmd) // Ctrl-C is for the service, which is not done with the server yet
	err = cmd.Start()
	out.Close() // so that reports end with the supervisor
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the supervisor: %w", err), asks.Close(), reports.Close())
	}
	r := &runningMemcached{running: &running{cmd: cmd, asks: asks, reports: reports, lines: bufio.NewReader(reports)}}
	live.Store(r.running, nil)

	given := context.AfterFunc(ctx, func() { asks.Close() })
	if _, err = asks.Write(encode(j)); err == nil {
		r.started, err = r.next()
	}
	if err == nil {
		err = r.started.err()
	}
	if err == nil {
		r.version, err = askMemcached(ctx, r.started.Addr, "version")
	}
	if !given() {
		err = context.Cause(ctx)
	}
	if err == nil {
		return r, nil
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the supervisor has ended without a word")
	}
	_ = r.close() // it says the same, if anything
	return nil, err
}

func (r *runningMemcached) close() error {
	_ = r.running.close()
	return r.wait()
}

// wait is running's. But of a supervisor that was killed it says whose that was.
func (r *runningMemcached) wait() error {
	err := r.running.wait()
	if state := r.cmd.ProcessState; err != nil && state != nil && !state.Success() {
		return fmt.Errorf("backing: the supervisor of memcached: %v", state)
	}
	return err
}
