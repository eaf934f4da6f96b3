// Package stage is the contract between the workshop's tool and a chapter's
// program, and all that the programs have in common: flags, events, signals,
// and an end in good order. A program says what its roles are and how to run
// each, and Main does the rest:
//
//	main                              all roles in one process, for a human to read
//	main -describe                    what the program is: one Description as JSON
//	main -role NAME -events           one role, for a program to read: Events as JSON lines
//	main -role click -events [-n 2] [URL]   one command, likewise
//
// A role runs until it is told to end: by SIGINT or SIGTERM (a second one ends
// the process at once), under -events by the end of its standard input too, and
// else by the death of its parent process. So nothing is left behind by a
// parent that was killed: its end of the pipe closes with it. A command runs
// until it is done.
//
// The exit code is 0 after an orderly end, 1 after a failure, 2 after misuse.
// Logs go to standard error. The JSON types are read strictly by the tool: a
// field more or less here is a change of the contract.
package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

// Description is what `-describe` prints: what would be run, in the environment
// as it is.
type Description struct {
	Title string            `json:"title"`
	URL   string            `json:"url"`   // where a customer would go
	Roles []Role            `json:"roles"` // those that `all` runs, in the order of the request's path
	Try   []Try             `json:"try"`
	Env   map[string]string `json:"env"` // the names of environment variables that are read, and what they mean
}

// Role is a part that runs for as long as the stack does.
type Role struct {
	Name string `json:"name"` // a word in lower case: "dns"
	What string `json:"what"` // "the zone shop.test"
	Addr string `json:"addr"` // where it will listen: "127.0.0.1:8053"
	// Held says that who runs the role may keep its TCP socket open for it, and so
	// have connections wait while it is started again: see Stage.Listen.
	Held bool `json:"held,omitempty"`
}

// Try is something to do while the stack runs.
type Try struct {
	What    string `json:"what"`
	Command string `json:"command"`
}

// What an Event tells.
const (
	Ready   = "ready"   // the role serves, at Addr
	Request = "request" // the role served a request: Summary, US, Detail
	Clicked = "click"   // a command's answer: the fields of Click
	Stopped = "stopped" // the role has ended as it was told to
	Failed  = "failed"  // the role could not start, or ended by itself: Error, which says what to do next
)

// Event is one line of what `-events` prints. Fields that do not belong to its
// kind are absent.
type Event struct {
	Time    time.Time         `json:"time"`
	Event   string            `json:"event"`
	Role    string            `json:"role"`
	Addr    string            `json:"addr,omitempty"`
	Summary string            `json:"summary,omitempty"` // "GET / → 200"
	US      int64             `json:"us,omitempty"`      // microseconds that it took
	Detail  map[string]string `json:"detail,omitempty"`
	Error   string            `json:"error,omitempty"`
	*Click                    // of Clicked alone, otherwise nil
}

// Click is one request as its client saw it.
type Click struct {
	URL     string  `json:"url"`
	Status  int     `json:"status"`
	Proto   string  `json:"proto"`   // "HTTP/2.0"
	Reused  bool    `json:"reused"`  // it went over a connection that was open already
	Resumed bool    `json:"resumed"` // it went over a new one, whose TLS handshake took up an earlier session
	Phases  []Phase `json:"phases"`  // in order of their start
	Hops    []Hop   `json:"hops"`    // from the answer's Server-Timing field, in its order
	Body    string  `json:"body"`    // the first 4 KiB
}

// Phase is a part of the time that a request took. Times are microseconds.
type Phase struct {
	Name    string `json:"name"`     // "DNS", "TCP", "TLS", "wait", "body"
	StartUS int64  `json:"start_us"` // since the request's start
	US      int64  `json:"us"`
	Detail  string `json:"detail"`
}

// Hop is what one server on the way says that it took.
type Hop struct {
	Name   string `json:"name"`
	US     int64  `json:"us"`
	Detail string `json:"detail"`
}

// Run does the work of a role or a command. A role calls s.Ready once, and
// returns nil when ctx is done and all that it started has ended, within 10
// seconds. An error, or an end before ctx is done, ends the whole process as a
// failure. Its text is shown to the user, so it says what to do next.
type Run func(ctx context.Context, s *Stage) error

// Stage is what a Run has at hand. It may be used by many goroutines at once.
type Stage struct {
	Name  string       // of the role or command
	Log   *slog.Logger // to standard error
	URL   string       // of a command: its argument, or the Description's URL
	Count int          // of a command: how often, by -n; at least 1
	Emit  func(Event)  // prints an event; the methods below call it, side by side; nil prints none
}

// Ready says that the role serves at addr, with the port that it was given.
func (s *Stage) Ready(addr string) { s.send(Event{Event: Ready, Addr: addr}) }

// Request says that a request was served. detail may be nil, and is not kept.
func (s *Stage) Request(summary string, took time.Duration, detail map[string]string) {
	s.send(Event{Event: Request, Summary: summary, US: took.Microseconds(), Detail: detail})
}

// Click shows a command's answer.
func (s *Stage) Click(c Click) { s.send(Event{Event: Clicked, Click: &c}) }

func (s *Stage) send(e Event) {
	if s.Emit == nil {
		return
	}
	e.Time, e.Role = time.Now(), s.Name
	s.Emit(e)
}

// Listen listens for TCP at addr, or takes over the socket that the parent process
// listens on for the role, in systemd's way: the variables LISTEN_FDS, 1, and
// LISTEN_FDNAMES, the role's name, say that it is file descriptor 3. Connections
// that come while nobody is there to accept them wait in it then.
//
// Source: sd_listen_fds(3).
func (s *Stage) Listen(addr string) (net.Listener, error) {
	if os.Getenv("LISTEN_FDS") != "1" || os.Getenv("LISTEN_FDNAMES") != s.Name {
		return net.Listen("tcp", addr)
	}
	f := os.NewFile(3, addr)
	defer f.Close() // the listener has one of its own
	return net.FileListener(f)
}

// Until is the middle of a role that serves: it calls serve until ctx is done,
// then shutdown, with a context that ends in 3 seconds, and waits for serve. It
// returns serve's error, also when serve ends before. An error of shutdown is
// logged: it says that clients were cut, which is not the role's failure.
func (s *Stage) Until(ctx context.Context, serve func() error, shutdown func(context.Context) error) error {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	if err := shutdown(last); err != nil {
		s.Log.Warn("not everyone left in time", "err", err)
	}
	return <-ended
}

// Env is the environment variable called name, or, where that is unset or
// empty, fallback.
func Env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// Main does what the command line says, and exits. d describes the program;
// run holds a function for each of its roles, by name. Names in run that are
// no roles are commands: `all` leaves them out.
func Main(d Description, run map[string]Run) {
	for _, role := range d.Roles {
		if run[role.Name] == nil {
			panic(fmt.Sprintf("stage: role %q has nothing to run", role.Name))
		}
	}
	os.Exit(program{d, run, os.Stdin, os.Stdout, os.Stderr}.main(os.Args[1:]))
}

// describe prints d as -describe does.
func (p program) describe() int {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p.d); err != nil {
		fmt.Fprintln(p.stderr, "stage:", err)
		return 1
	}
	return 0
}
