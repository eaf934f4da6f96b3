package backing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memcachedJob is how a memcached is started.
type memcachedJob struct {
	Path      string
	Account   *account
	Addr      string // a port of 0: any
	Mebibytes int64

	Patience time.Duration
}

// memcachedServer is a memcached's process.
type memcachedServer struct {
	memcachedJob
	process
	cmd           *exec.Cmd
	addr, version string
	said          *beginning
}

// newMemcachedServer starts memcached: see job's start.
func newMemcachedServer(ctx context.Context, j memcachedJob) (*memcachedServer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("memcached did not answer within 10 s"))
	defer cancel()
	m := &memcachedServer{memcachedJob: j}
	return m, listen(ctx, j.Addr, j.Patience, m.launch)
}

func (m *memcachedServer) report() report {
	return report{Addr: m.addr, Version: m.version, PID: m.pid}
}

func (m *memcachedServer) launch(ctx context.Context, host, port string) error {
	m.addr, m.said = net.JoinHostPort(host, port), new(beginning)
	m.cmd = exec.Command(m.Path, "-l", host, "-p", port, "-U", "0",
		"-m", strconv.FormatInt(m.Mebibytes, 10),
		"-t", "1") // one thread answers more than this workshop asks, and four take ten times as long to start
	m.cmd.Dir, m.cmd.Env = os.TempDir(), serverEnv()
	m.cmd.Stdout, m.cmd.Stderr = m.said, m.said
	m.cmd.WaitDelay = time.Second
	runAs(m.cmd, m.Account) // by memcached's own -u, Linux would forget to tell it of our end
	leadGroup(m.cmd)
	if err := startTied(m.cmd, os.Kill); err != nil {
		return err
	}
	m.pid = m.cmd.Process.Pid
	m.watch(m.cmd.Wait)
	for {
		// Another server may have the port, and answer. It has another number.
		pid, err := askMemcached(ctx, m.addr, "stats")
		if err == nil && pid == strconv.Itoa(m.pid) {
			if m.version, err = askMemcached(ctx, m.addr, "version"); err == nil {
				return nil
			}
		}
		select {
		case <-m.ended:
			if strings.Contains(m.said.String(), "in use") {
				return fmt.Errorf("%w: %s: %s", errAddressInUse, m.addr, m.ending())
			}
			return fmt.Errorf("memcached does not start: %s", m.ending())
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), m.stop(kill))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// stop kills the process and waits for it, whatever is asked for: all is in memory,
// so nothing is lost. (Asked kindly, memcached takes a second to end its threads.)
func (m *memcachedServer) stop(shutdown) error {
	_ = m.cmd.Process.Kill() // or it has ended
	<-m.ended
	return nil
}

func (m *memcachedServer) ending() string { return m.how(strings.TrimSpace(m.said.String())) }

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
