package stage

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	endWithin   = 10 * time.Second       // what roles have to end, once told to
	drainWithin = 3 * time.Second        // what their clients have to leave, of that
	parentPoll  = 250 * time.Millisecond // how often it is looked whether the parent lives
)

// program is a Main with its surroundings.
type program struct {
	d              Description
	run            map[string]Run
	stdin          io.Reader
	stdout, stderr io.Writer
}

// main returns the exit code.
func (p program) main(args []string) int {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	describe := flags.Bool("describe", false, "print what this program is, as JSON")
	name := flags.String("role", "all", "what to run: all, "+strings.Join(slices.Sorted(maps.Keys(p.run)), ", "))
	events := flags.Bool("events", false, "print events as JSON lines, and end with standard input")
	count := flags.Int("n", 1, "how often, for a command")
	flags.Usage = func() {
		fmt.Fprintf(p.stderr, "%s\n\nusage: [-describe] [-role NAME] [-events] [-n COUNT] [URL]\n\n", p.d.Title)
		flags.PrintDefaults()
		fmt.Fprintln(p.stderr, "\nIt ends with Ctrl-C, and with the process that started it. From the environment it reads:")
		for _, name := range slices.Sorted(maps.Keys(p.d.Env)) {
			fmt.Fprintf(p.stderr, "  %s\n    \t%s\n", name, p.d.Env[name])
		}
	}
	misuse := func(format string, args ...any) int {
		fmt.Fprintf(p.stderr, format+"\n\n", args...)
		flags.Usage()
		return 2
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // flags has said why
	case *describe:
		return p.describe()
	}

	isRole := func(name string) bool {
		return slices.ContainsFunc(p.d.Roles, func(r Role) bool { return r.Name == name })
	}
	var names []string
	switch {
	case *name == "all":
		for _, role := range p.d.Roles {
			names = append(names, role.Name)
		}
	case p.run[*name] != nil:
		names = []string{*name}
	default:
		return misuse("there is no role %q", *name)
	}
	command := *name != "all" && !isRole(*name)
	url := p.d.URL
	switch {
	case !command && (flags.NArg() > 0 || *count != 1):
		return misuse("a role takes neither a URL nor -n")
	case flags.NArg() > 1 || *count < 1:
		return misuse("a command takes at most one URL, and an -n of at least 1")
	case flags.NArg() == 1:
		url = flags.Arg(0)
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel) // from now on, a second signal ends the process at once
	defer cancel()
	switch {
	case command: // ends by itself
	case *events:
		go func() {
			_, _ = io.Copy(io.Discard, p.stdin)
			cancel()
		}()
	default:
		go watchParent(ctx, cancel)
	}

	emit := p.lines()
	if !*events {
		emit = p.text(names)
	}
	return p.perform(ctx, names, command, func(name string) *Stage {
		return &Stage{
			Name: name, URL: url, Count: *count, Emit: emit,
			Log: slog.New(slog.NewTextHandler(p.stderr, logOptions(*events))).With("role", name),
		}
	})
}

// logOptions leaves the time out of what a program reads: it notes the time itself.
func logOptions(events bool) *slog.HandlerOptions {
	if !events {
		return nil
	}
	return &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
}

// perform runs names side by side until ctx is done or one of them ends, and
// returns the exit code.
func (p program) perform(ctx context.Context, names []string, command bool, set func(name string) *Stage) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		s   *Stage
		err error
	}
	ended := make(chan end, len(names))
	for _, name := range names {
		s := set(name)
		go func() {
			err := p.run[name](ctx, s)
			if err == nil && !command && ctx.Err() == nil {
				err = fmt.Errorf("%s ended by itself: please report this", name)
			}
			ended <- end{s, err}
		}()
	}

	code := 0
	var late <-chan time.Time
	told := ctx.Done()
	for running := slices.Clone(names); len(running) > 0; {
		select {
		case <-told:
			told, late = nil, time.After(endWithin)
		case <-late:
			fmt.Fprintf(p.stderr, "%s did not end within %s\n", strings.Join(running, ", "), endWithin)
			return 1
		case e := <-ended:
			running = slices.DeleteFunc(running, func(name string) bool { return name == e.s.Name })
			switch {
			case e.err != nil:
				code = 1
				e.s.send(Event{Event: Failed, Error: e.err.Error() + advice(e.s.Name, e.err)})
			case !command:
				e.s.send(Event{Event: Stopped})
			}
			cancel()
		}
	}
	return code
}

// advice is what to do about an error that many roles have in common.
func advice(role string, err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "listen" {
		return fmt.Sprintf(". Another program may be using the address: end it, or set %s_ADDR to a free one", strings.ToUpper(role))
	}
	return ""
}

// lines prints events as JSON lines.
func (p program) lines() func(Event) {
	var mu sync.Mutex // one line at a time
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		_ = enc.Encode(e) // nobody reads any more: the end of standard input is near
	}
}

// parent is the process that started this one. It is asked for before anything
// else: a parent that is gone has left its place to another.
var parent = os.Getppid()

// watchParent calls cancel when the process that started this one is gone. A
// `go run` that is ended by SIGTERM does not pass it on, and would leave this
// process behind. Windows does not tell.
func watchParent(ctx context.Context, cancel func()) {
	if runtime.GOOS == "windows" || parent <= 1 {
		return
	}
	tick := time.NewTicker(parentPoll)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	cancel()
}
