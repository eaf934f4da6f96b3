// Command bench holds the edge against nginx, HAProxy, Caddy and two
// httputil.ReverseProxies, each alone in front of the same three upstreams, and
// prints requests a second, latency, CPU time and memory, with ratios to nginx.
//
// Client, proxy and upstreams share one machine, all over loopback: figures of
// different machines say nothing beside each other, ratios say something. So
// the contenders take turns, in an order that is shuffled each round, and what
// is printed is the median of the rounds. What is not installed is left out.
//
//	go run ./03-reverse-proxy/bench
//	go run ./03-reverse-proxy/bench -only ours -modes hit -profile cpu.out && go tool pprof -top cpu.out
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"clicktocode.example/02-load-balancer/peer"
)

// options are what the flags say.
type options struct {
	rounds   int
	duration time.Duration
	conns    int
	warm     time.Duration
	only     []string // names of contenders; empty is all
	modes    []mode
	profile  string // a file; empty is none
}

func main() {
	if os.Getenv(roleVariable) != "" {
		os.Exit(child(os.Stdin, os.Stdout))
	}
	o := options{warm: warm}
	var only, modes string
	flag.IntVar(&o.rounds, "rounds", 4, "how often each is measured")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long, each time and in each mode")
	flag.IntVar(&o.conns, "conns", 64, "how many connections ask at once")
	flag.StringVar(&only, "only", "", "measure these alone, with commas between: "+strings.Join(names(), ", "))
	flag.StringVar(&modes, "modes", strings.Join(modeNames(), ","), "what is measured")
	flag.StringVar(&o.profile, "profile", "", "a file for a CPU profile of ours, as of its last round")
	flag.Parse()
	if err := o.parse(only, modes, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if _, err := os.Stat("/dev/shm"); err == nil {
		_ = os.Setenv("TMPDIR", "/dev/shm") // nginx's cache is files: they are not to wait for a disk
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	results, err := run(ctx, o, os.Stderr)
	if err == nil {
		err = print(os.Stdout, o, results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// parse fills in what the flags leave to be worked out, and refuses what would
// run for hours or not at all.
func (o *options) parse(only, modes string, rest []string) error {
	var errs []error
	if len(rest) > 0 {
		errs = append(errs, fmt.Errorf("bench: %q: it takes flags alone; see -help", rest))
	}
	if o.rounds < 1 || o.rounds > 100 {
		errs = append(errs, fmt.Errorf("bench: %d rounds: want 1 to 100", o.rounds))
	}
	if o.duration < 10*time.Millisecond || o.duration > time.Minute {
		errs = append(errs, fmt.Errorf("bench: a duration of %s: want 10ms to 1m", o.duration))
	}
	if o.conns < 1 || o.conns > 1024 {
		errs = append(errs, fmt.Errorf("bench: %d connections: want 1 to 1024", o.conns))
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.Contains(names(), name) {
			errs = append(errs, fmt.Errorf("bench: there is no %q: choose of %s", name, strings.Join(names(), ", ")))
		}
	}
	for name := range strings.SplitSeq(modes, ",") {
		if !slices.Contains(modeNames(), name) {
			errs = append(errs, fmt.Errorf("bench: there is no mode %q: choose of %s", name, strings.Join(modeNames(), ", ")))
		}
		o.modes = append(o.modes, mode(name))
	}
	return errors.Join(errs...)
}

// result is what came of one contender.
type result struct {
	name    string // with its version
	samples map[mode][]sample
	memory  []float64 // MB, of each round
}

// run measures, and tells w what it is about.
func run(ctx context.Context, o options, w io.Writer) ([]*result, error) {
	upstreams, err := startChild(ctx, assignment{Role: "upstream"})
	if err != nil {
		return nil, err
	}
	defer upstreams.stop()
	s, err := newSettings(upstreams.addrs)
	if err != nil {
		return nil, err
	}
	var results []*result
	var order []int // of rows of contenders
	for i, c := range contenders {
		if len(o.only) > 0 && !slices.Contains(o.only, c.name) {
			continue
		}
		name := c.name
		if c.program != "" {
			version, err := c.program.Version()
			var missing *peer.MissingError
			if errors.As(err, &missing) {
				fmt.Fprintf(w, "left out: %v\n", err)
				continue
			}
			if err != nil {
				return nil, err
			}
			name += " " + version
		}
		results = append(results, &result{name: name, samples: map[mode][]sample{}})
		order = append(order, i)
	}
	if len(results) == 0 {
		return nil, errors.New("nobody to measure")
	}
	for round := range o.rounds {
		for _, i := range rand.Perm(len(order)) {
			fmt.Fprintf(w, "round %d of %d: %s\n", round+1, o.rounds, results[i].name)
			if err := measure(ctx, o, s, contenders[order[i]], round == o.rounds-1, results[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", results[i].name, err)
			}
		}
	}
	return results, nil
}

// measure starts c, has it asked in each mode, and ends it.
func measure(ctx context.Context, o options, s *settings, c contender, last bool, into *result) (err error) {
	file := ""
	if last && c.name == "ours" {
		file = o.profile
	}
	server, err := c.start(ctx, s, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	for _, m := range o.modes {
		if server.addrs[m] == "" {
			continue // it has no cache
		}
		before, err := s.asked(ctx)
		if err != nil {
			return err
		}
		one, err := load(ctx, server.addrs[m], s.request(m), o, server.pid)
		if err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
		after, err := s.asked(ctx)
		if err != nil {
			return err
		}
		// A cache that passes everything on would be measured as a proxy; a proxy
		// that answers by itself, as nothing.
		if passed := after - before; m == hit && passed > one.all/10+o.conns || m != hit && passed < one.requests {
			return fmt.Errorf("%s: of %d requests, %d reached an upstream", m, one.all, passed)
		}
		into.samples[m] = append(into.samples[m], one)
	}
	into.memory = append(into.memory, peak(server.pid))
	return nil
}

// setting is what all figures rest on.
func setting(o options) string {
	return fmt.Sprintf("%d cores, shared by client, proxy and three upstreams; %d connections; answers of %d octets; medians of %d rounds of %s; ratios to nginx",
		runtime.NumCPU(), o.conns, len(answer), o.rounds, o.duration)
}
