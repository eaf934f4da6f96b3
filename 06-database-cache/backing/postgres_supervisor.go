package backing

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// supervisorVariable, in the environment, makes a process the supervisor of a
// cluster: see the package's documentation.
const supervisorVariable = "CLICKTOCODE_POSTGRES_SUPERVISOR"

func init() {
	if os.Getenv(supervisorVariable) == "" {
		return
	}
	_ = os.Unsetenv(supervisorVariable)
	supervisor(os.Stdin, os.Stdout)
	os.Exit(0)
}

// job is what a supervisor is asked to do, as a line of JSON.
type job struct {
	Binaries binaries
	Addr     string // a port of 0: any
	DataDir  string // "": a new folder in Dir, removed at the end
	Dir      string
	CacheDir string // "": none
	Settings map[string]string

	InitdbGrace time.Duration
}

// report is what it answers, as a line of JSON each: once when the server runs or
// cannot, and once at the end.
type report struct {
	URL, Addr string
	PID       int
	Notes     []string `json:",omitempty"`
	Error     string   `json:",omitempty"`
}

func (r report) err() error {
	if r.Error == "" {
		return nil
	}
	return errors.New(r.Error)
}

// How a cluster comes to its end: its parent said so, or was there no more.
var errClosed, errOrphaned = errors.New("closed"), errors.New("the parent is gone")

// supervisor is all that a supervisor's process does. It stays on the process's
// main thread, to which init is bound, and with which the server would end.
func supervisor(in io.Reader, out io.Writer) {
	// Whatever the parent ignored (under nohup, or as a shell's background job) the
	// server would ignore as well; what is caught here is back to normal there. And a
	// report to a parent that is gone shall fail, and not end us before the folder is
	// removed.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE)

	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	var j job
	if err == nil {
		err = json.Unmarshal(line, &j)
	}
	if err != nil {
		return // the parent was gone before it could say what to do
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		if _, err := lines.ReadByte(); err == nil {
			cancel(errClosed)
		}
		cancel(errOrphaned)
	}()
	go func() {
		for s := range signals {
			if s == syscall.SIGTERM { // the others are meant for the service
				cancel(errClosed)
			}
		}
	}()
	say := func(r report) {
		_, _ = out.Write(encode(r)) // nobody may be left to be told
	}

	c, err := newCluster(ctx, j)
	if err != nil {
		say(report{Error: err.Error()})
		return
	}
	say(report{URL: c.url, Addr: c.addr, PID: c.pid, Notes: c.notes})
	select {
	case <-ctx.Done():
		how := fast
		if errors.Is(context.Cause(ctx), errOrphaned) {
			how = immediate // a kill is a kill: the next start recovers
		}
		err = c.stop(how)
	case <-c.ended:
		err = fmt.Errorf("PostgreSQL (process %d) has ended by itself: %s", c.pid, c.ending())
		err = errors.Join(err, c.stop(immediate))
	}
	var last report
	if err != nil {
		last.Error = err.Error()
	}
	say(last)
}

// encode returns a job or a report as a line.
func encode(v any) []byte {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err) // they are strings and numbers alone
	}
	return append(line, '\n')
}

// running is a cluster as its parent sees it: no goroutine, two pipes and a process.
type running struct {
	started report

	cmd     *exec.Cmd
	asks    *os.File // closed: the supervisor stops the server, and ends
	reports *os.File
	lines   *bufio.Reader // of reports

	closing, waiting sync.Once
	err              error // read after waiting
}

// live holds all that runs. A file that nothing refers to is closed by the garbage
// collector, and with it the server of a caller who kept the URL alone would end.
var live sync.Map

// start starts a supervisor, and returns when its server answers.
func start(ctx context.Context, j job) (*running, error) {
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
	cmd.Args = []string{"backing: supervisor of PostgreSQL"}
	cmd.Env = append(os.Environ(), supervisorVariable+"=1")
	cmd.Dir = j.Dir // ours may be removed: a test's
	// Of the parent's files it gets none: whoever reads what the parent prints shall
	// not wait for the supervisor's end.
	cmd.Stdin, cmd.Stdout = in, out
	leadGroup(cmd) // Ctrl-C is for the service, which is not done with the server yet
	err = cmd.Start()
	out.Close() // so that reports end with the supervisor
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the supervisor: %w", err), asks.Close(), reports.Close())
	}
	r := &running{cmd: cmd, asks: asks, reports: reports, lines: bufio.NewReader(reports)}
	live.Store(r, nil)

	given := context.AfterFunc(ctx, func() { asks.Close() })
	if _, err = asks.Write(encode(j)); err == nil {
		r.started, err = r.next()
	}
	if err == nil {
		err = r.started.err()
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

// next reads a report.
func (r *running) next() (rep report, err error) {
	for {
		line, err := r.lines.ReadBytes('\n')
		if err != nil {
			return rep, err
		}
		if json.Unmarshal(line, &rep) == nil {
			return rep, nil
		} // or some library's init has printed something
	}
}

// close asks the supervisor to stop the server, and waits for it.
func (r *running) close() error {
	const patience = 30 * time.Second
	r.closing.Do(func() {
		_, _ = r.asks.Write([]byte("\n")) // if it has ended by itself: wait tells
		r.asks.Close()
	})
	stuck := time.AfterFunc(patience, func() { _ = r.cmd.Process.Kill() })
	defer stuck.Stop()
	return r.wait()
}

// wait waits for the supervisor's end.
func (r *running) wait() error {
	r.waiting.Do(func() {
		var last report
		rep, err := r.next()
		for ; err == nil; rep, err = r.next() {
			last = rep
		}
		if err := r.cmd.Wait(); err != nil {
			r.err = fmt.Errorf("backing: the supervisor of PostgreSQL: %w", err)
		}
		if err := last.err(); err != nil {
			r.err = fmt.Errorf("backing: %w", err)
		}
		r.asks.Close()
		r.reports.Close()
		live.Delete(r)
	})
	return r.err
}
