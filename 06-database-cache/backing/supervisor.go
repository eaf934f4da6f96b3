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
	"sync"
	"syscall"
	"time"
)

// supervisorVariable, in the environment, makes a process the supervisor of a
// server: see the package's documentation.
const supervisorVariable = "CLICKTOCODE_SUPERVISOR"

func init() {
	if os.Getenv(supervisorVariable) == "" {
		return
	}
	_ = os.Unsetenv(supervisorVariable)
	supervise(os.Stdin, os.Stdout)
	os.Exit(0)
}

// job is what a supervisor is asked to run, as a line of JSON: one of the two.
type job struct {
	Postgres  *postgresJob  `json:",omitempty"`
	Memcached *memcachedJob `json:",omitempty"`
}

func (j job) String() string {
	if j.Memcached != nil {
		return "memcached"
	}
	return "PostgreSQL"
}

// start returns the server once it answers. On an error nothing is left.
//
// It must run on a thread that lasts as long as the process: on Linux the server
// ends with the thread that started it.
func (j job) start(ctx context.Context) (server, error) {
	if j.Memcached != nil {
		return newMemcachedServer(ctx, *j.Memcached)
	}
	return newCluster(ctx, *j.Postgres)
}

// server is what is supervised.
type server interface {
	report() report        // what to tell the parent, once it runs
	done() <-chan struct{} // closed when it has ended
	ending() string        // how it has
	stop(shutdown) error   // waits for its end, and leaves nothing
}

// shutdown is a way to stop a server.
type shutdown int

const (
	fast      shutdown = iota // hang up on clients, write everything down
	immediate                 // at once; the next start recovers from the log
	kill                      // not even the server is asked
)

// process is a server's process.
type process struct {
	pid   int
	ended chan struct{} // closed when it has ended
	exit  error         // how; read after ended
}

// watch waits for the process's end by wait, in a goroutine that lasts until then.
func (p *process) watch(wait func() error) {
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		p.exit = wait()
	}()
}

func (p *process) done() <-chan struct{} { return p.ended }

// how says how the process ended, and what it had said.
func (p *process) how(said string) string {
	if p.exit == nil {
		return "with exit status 0" + indented(said)
	}
	return p.exit.Error() + indented(said)
}

// report is what a supervisor answers, as a line of JSON each: once when the server
// runs or cannot, and once at the end.
type report struct {
	URL, Addr, Version string
	PID                int
	Notes              []string `json:",omitempty"`
	Error              string   `json:",omitempty"`
}

// errAddressInUse says that a server could not listen: another has the port.
var errAddressInUse = errors.New("the address cannot be listened on")

// patience is how long a server waits for an address that was asked for by name: the
// former server there may be about to end, with its parent that was killed.
const patience = 5 * time.Second

// listen calls launch with addr's host and port until that is free. A port of 0 is
// any that is free, a moment ago: another process may be quicker.
func listen(ctx context.Context, addr string, patience time.Duration, launch func(ctx context.Context, host, port string) error) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	began := time.Now()
	for attempt := 1; ; attempt++ {
		p := port
		if port == "0" {
			if p, err = freePort(host); err != nil {
				return err
			}
		}
		err = launch(ctx, host, p)
		switch {
		case !errors.Is(err, errAddressInUse):
			return err
		case port == "0" && attempt < 10:
			continue
		case port == "0" || time.Since(began) > patience:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freePort returns a port that nobody has, a moment ago. It is a variable for tests.
var freePort = func(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func (r report) err() error {
	if r.Error == "" {
		return nil
	}
	return errors.New(r.Error)
}

// How a server comes to its end: its parent said so, or was there no more.
var errClosed, errOrphaned = errors.New("closed"), errors.New("the parent is gone")

// supervise is all that a supervisor's process does. It stays on the process's main
// thread, to which init is bound.
func supervise(in io.Reader, out io.Writer) {
	// Whatever the parent ignored (under nohup, or as a shell's background job) the
	// server would ignore as well; what is caught here is back to normal there. And a
	// report to a parent that is gone shall fail, and not end us before the folder is
	// removed.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE)

	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	var j job
	if err != nil || json.Unmarshal(line, &j) != nil {
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

	s, err := j.start(ctx)
	if err != nil {
		say(report{Error: err.Error()})
		return
	}
	say(s.report())
	select {
	case <-ctx.Done():
		how := fast
		if errors.Is(context.Cause(ctx), errOrphaned) {
			how = immediate // a kill is a kill: the next start recovers
		}
		err = s.stop(how)
	case <-s.done():
		err = fmt.Errorf("%v (process %d) has ended by itself: %s", j, s.report().PID, s.ending())
		err = errors.Join(err, s.stop(immediate))
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

// running is a supervised server as its parent sees it: no goroutine, two pipes and
// a process.
type running struct {
	job     job
	started report

	cmd     *exec.Cmd
	asks    *os.File // closed: the supervisor stops the server, and ends
	reports *os.File
	lines   *bufio.Reader // of reports

	asking, waiting sync.Once
	stuck           *time.Timer // kills the supervisor; nil until it is asked to end
	err             error       // read after waiting
}

// live holds all that runs. A file that nothing refers to is closed by the garbage
// collector, and with it the server of a caller who kept its address alone would end.
var live sync.Map

// run starts a supervisor that works in dir, and returns when its server answers.
func run(ctx context.Context, dir string, j job) (*running, error) {
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
	cmd.Args = []string{"backing: supervisor of " + j.String()}
	cmd.Env = append(os.Environ(), supervisorVariable+"=1",
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0") // built with -race, it would take a second to end
	cmd.Dir = dir // ours may be removed: a test's
	// Of the parent's files it gets none: whoever reads what the parent prints shall
	// not wait for the supervisor's end.
	cmd.Stdin, cmd.Stdout = in, out
	leadGroup(cmd) // Ctrl-C is for the service, which is not done with the server yet
	err = cmd.Start()
	out.Close() // so that reports end with the supervisor
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the supervisor: %w", err), asks.Close(), reports.Close())
	}
	r := &running{job: j, cmd: cmd, asks: asks, reports: reports, lines: bufio.NewReader(reports)}
	live.Store(r, nil)

	// A write to a pipe with nobody at its other end fails, and the report says more.
	_, _ = asks.Write(encode(j))
	given := context.AfterFunc(ctx, r.ask)
	r.started, err = r.next()
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

// ask asks the supervisor to stop the server, and to end. One that does neither for
// half a minute is killed.
func (r *running) ask() {
	r.asking.Do(func() {
		r.stuck = time.AfterFunc(30*time.Second, func() { _ = r.cmd.Process.Kill() })
		_, _ = r.asks.Write([]byte("\n")) // if it has ended by itself: wait tells
		r.asks.Close()
	})
}

func (r *running) close() error {
	r.ask()
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
			r.err = fmt.Errorf("backing: the supervisor of %v: %w", r.job, err)
		}
		if err := last.err(); err != nil {
			r.err = fmt.Errorf("backing: %w", err)
		}
		r.asking.Do(func() { r.asks.Close() })
		if r.stuck != nil {
			r.stuck.Stop()
		}
		r.reports.Close()
		live.Delete(r)
	})
	return r.err
}
