// Package loadbalancer is a whole balancer for HTTP, with what an operator
// would set: active checks, ejection of backends that fail, retries under a
// budget, and a door for the operator. Package dispatch has the parts list.
package loadbalancer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"clicktocode.example/02-load-balancer/admin"
	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/budget"
	"clicktocode.example/02-load-balancer/checks"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/solution/hashring"
	"clicktocode.example/02-load-balancer/solution/leastconn"
	"clicktocode.example/02-load-balancer/solution/outlier"
	"clicktocode.example/02-load-balancer/solution/roundrobin"
	"clicktocode.example/02-load-balancer/solution/upstream"
	"clicktocode.example/02-load-balancer/weighted"
)

// Config says what to balance. Backends are required.
type Config struct {
	Backends []*balancer.Backend
	// Picker is one of Pickers. Empty means roundrobin.
	Picker string
	// HealthPath is what checks ask for. Empty means "/".
	HealthPath string
	// CheckInterval is checks.Config's Interval. 0 means 1 s.
	CheckInterval time.Duration
	// AdminAddr is where package admin listens. Empty means nowhere.
	AdminAddr string
	// Transport makes the transport that carries requests to backends, of the one
	// that the balancer would use itself. nil is that one. What it made is told to
	// CloseIdleConnections in the end, where it can.
	Transport func(upstream *http.Transport) http.RoundTripper
	// Reveal is dispatch.Config's: answers say which backend gave them.
	Reveal bool
	// OnChange, unless nil, is told in words when a backend's state changes, by
	// several goroutines at once. It must return soon.
	OnChange func(what string)
	// Log gets what went wrong. nil is slog.Default().
	Log *slog.Logger
}

// Times that fit replicas on the same machine.
const (
	checkEvery = time.Second
	answerTime = 5 * time.Second // to the answer's header
	slowStart  = 10 * time.Second
)

// A fifth of the requests may be retries, and ten a second beside.
const retryShare, retriesPerSecond = 0.2, 10

// Pickers are the names that Config.Picker may have.
func Pickers() []string { return []string{"roundrobin", "weighted", "leastconn", "hashring"} }

func newPicker(name string) (balancer.Picker, error) {
	switch name {
	case "", "roundrobin":
		return roundrobin.New(0), nil
	case "weighted":
		return weighted.New(slowStart), nil
	case "leastconn":
		return leastconn.New(nil), nil
	case "hashring":
		return hashring.New(1.25)
	}
	return nil, fmt.Errorf("loadbalancer: there is no picker %q: choose one of %s", name, strings.Join(Pickers(), ", "))
}

// Run builds the balancer, and calls serve with it. It returns what
// serve returns, once all that it started has ended; it ends it then, or when
// ctx is done.
func Run(ctx context.Context, c Config, serve func(*dispatch.Handler) error) error {
	pool, poolErr := balancer.NewPool(c.Backends...)
	picker, pickerErr := newPicker(c.Picker)
	retries, budgetErr := budget.New(retryShare, retriesPerSecond)
	if err := errors.Join(poolErr, pickerErr, budgetErr); err != nil {
		return err
	}
	if c.OnChange == nil {
		c.OnChange = func(string) {}
	}
	ejected := map[bool]string{true: "is ejected: it failed too often", false: "is taken back"}
	detector, err := outlier.New(pool, outlier.Config{OnChange: func(b *balancer.Backend, out bool) { c.OnChange(b.Name() + " " + ejected[out]) }})
	if err != nil {
		return err
	}
	defer detector.Close()
	checker, err := checks.New(pool, checks.Config{Path: c.HealthPath, Interval: cmp.Or(c.CheckInterval, checkEvery), OnChange: func(b *balancer.Backend, up bool, err error) {
		if up {
			c.OnChange(b.Name() + " is up")
		} else {
			c.OnChange(fmt.Sprintf("%s is down: %v", b.Name(), err))
		}
		detector.Review() // with one less available, too many may be ejected
	}})
	if err != nil {
		return err
	}
	base := upstream.New(upstream.Config{HeaderTimeout: answerTime})
	defer base.CloseIdleConnections()
	transport := http.RoundTripper(base)
	if c.Transport != nil {
		transport = c.Transport(base)
		if other, ok := transport.(interface{ CloseIdleConnections() }); ok {
			defer other.CloseIdleConnections()
		}
	}
	handler, err := dispatch.New(dispatch.Config{
		Pool: pool, Picker: picker, Transport: transport, Key: client, Outlier: detector, Budget: retries, Reveal: c.Reveal, Log: c.Log,
	})
	if err != nil {
		return err
	}

	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if c.AdminAddr != "" {
		ln, err := net.Listen("tcp", c.AdminAddr)
		if err != nil {
			return fmt.Errorf("loadbalancer: for the operator: %w", err)
		}
		operator := &http.Server{Handler: admin.New(pool), ReadHeaderTimeout: answerTime}
		defer operator.Close()
		beside.Go(func() { _ = operator.Serve(ln) }) // ends by Close
	}
	beside.Go(func() { checker.Run(ctx) })
	return serve(handler)
}

// client is the address that a request comes from, without its port: by it,
// hashring brings a customer back to the same backend.
func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Backends makes backends of "name=host:port" pairs, all of weight 1.
func Backends(pairs ...string) ([]*balancer.Backend, error) {
	var all []*balancer.Backend
	for _, pair := range pairs {
		name, addr, _ := strings.Cut(pair, "=")
		b, err := balancer.NewBackend(name, addr, 1)
		if err != nil {
			return nil, fmt.Errorf("loadbalancer: %q: want name=host:port: %w", pair, err)
		}
		all = append(all, b)
	}
	return slices.Clip(all), nil
}
