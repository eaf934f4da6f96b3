// Package checks asks the backends of a pool, again and again, whether they are
// well: the loop of active health checks. What to make of the answers is
// healthcheck's business.
//
// Each check is a GET over a connection of its own, unless Config.Check is
// something else. One over a connection that was opened long ago would succeed
// with a backend that takes no new ones. The moments are spread at random: checks
// that go out in the same instant, from each of twenty balancers, are a small attack.
//
// Source: HAProxy's configuration manual, "option httpchk", "inter", "spread-checks".
package checks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/solution/healthcheck"
)

// Config says what is asked, and how often.
type Config struct {
	// Path is what is asked for, from its slash on, and may have a query. Empty
	// means "/".
	Path string
	// Host is the name that the request is for. Empty means the backend's address.
	Host string
	// Status is the one that a backend answers when it is well. Zero means 200.
	// A redirect is not followed.
	Status int
	// Interval is the time from the start of one check of a backend to the start
	// of its next, give or take a tenth, drawn each time. Zero means 2 s.
	Interval time.Duration
	// Timeout is how long a check may take: connection, answer, body. What takes
	// longer is a failure. Zero means 1 s. If it is longer than Interval, the
	// next check waits for the one before.
	Timeout time.Duration
	// Rise and Fall are healthcheck.New's. Zero means 2 and 3.
	Rise, Fall int
	// Parallel is how many checks run at once, at most. Zero means 8.
	Parallel int
	// OnChange, unless nil, is told when a backend comes up or goes down: then
	// err is the last check's. One call at a time, from within Run: while it
	// lasts, no results are looked at.
	OnChange func(b *balancer.Backend, up bool, err error)
	// Transport sends the checks, each to "http://" and the backend's address.
	// It must return soon after a request's context is done. Nil means one of
	// the checker's own, over TCP, a connection for each check.
	Transport http.RoundTripper
	// Check, unless nil, is made in place of the GET, for backends that speak
	// something else (package layer4 connects, no more). nil is the only good
	// answer. It must return soon after ctx, which ends by Timeout, is done; several
	// run at once. Path, Host, Status and Transport mean nothing then.
	Check func(ctx context.Context, b *balancer.Backend) error
}

// Checker checks the backends of one pool. Make one with New.
type Checker struct {
	pool   *balancer.Pool
	config Config // without zeros
	uri    string // path and query
}

// New returns a checker of the backends that are in pool, whenever they come and
// go. The error names all that is wrong with config.
func New(pool *balancer.Pool, config Config) (*Checker, error) {
	if config.Path == "" {
		config.Path = "/"
	}
	var errs []error
	uri, err := url.ParseRequestURI(config.Path)
	if err != nil || !strings.HasPrefix(config.Path, "/") {
		errs = append(errs, fmt.Errorf("checks: path %q: want one that begins with a slash", config.Path))
	}
	if config.Status != 0 && (config.Status < 200 || config.Status > 599) {
		errs = append(errs, fmt.Errorf("checks: status %d: want 200 to 599", config.Status))
	}
	if config.Interval < 0 || config.Timeout < 0 {
		errs = append(errs, fmt.Errorf("checks: interval of %s, timeout of %s: negative", config.Interval, config.Timeout))
	}
	if config.Rise < 0 || config.Fall < 0 || config.Parallel < 0 {
		errs = append(errs, fmt.Errorf("checks: rise %d, fall %d, %d in parallel: negative", config.Rise, config.Fall, config.Parallel))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	setDefault(&config.Status, http.StatusOK)
	setDefault(&config.Interval, 2*time.Second)
	setDefault(&config.Timeout, time.Second)
	setDefault(&config.Rise, 2)
	setDefault(&config.Fall, 3)
	setDefault(&config.Parallel, 8)
	return &Checker{pool: pool, config: config, uri: uri.RequestURI()}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// watch is what Run knows of one backend.
type watch struct {
	backend *balancer.Backend
	tracker *healthcheck.Tracker
	due     time.Time          // when the next check begins
	cancel  context.CancelFunc // ends the check that is under way; nil when none is
}

// result is what came of one check.
type result struct {
	watch *watch
	err   error
}

// Run checks until ctx is done, and returns when the last check has ended. Call
// it once at a time.
//
// Those in the pool at the start are checked at once, those that are added
// later within an Interval. A backend begins in the state that it is in: put
// into the pool after SetDown(true), it gets its first request when it has
// succeeded Rise times. When a backend leaves the pool, its check is called off
// and its state stays. One that drains is checked like any other.
//
// A check that was called off has no result, so stopping takes nobody down.
func (c *Checker) Run(ctx context.Context) {
	check := c.config.Check
	if check == nil {
		transport := c.config.Transport
		if transport == nil {
			own := &http.Transport{ // no proxy: it would answer for the backend
				DialContext:            (&net.Dialer{KeepAlive: -1}).DialContext,
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: 64 << 10,
			}
			defer own.CloseIdleConnections()
			transport = own
		}
		check = func(ctx context.Context, b *balancer.Backend) error { return c.get(ctx, transport, b) }
	}
	watches := map[*balancer.Backend]*watch{}
	results := make(chan result)
	running := 0
	wake := time.NewTimer(0)
	defer wake.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case r := <-results:
			running--
			c.take(ctx, watches, r)
		case <-wake.C:
		}
		c.follow(watches)
		now := time.Now()
		next := now.Add(c.config.Interval) // also to look for new ones
		for _, w := range waiting(watches) {
			if running == c.config.Parallel {
				break // the next result wakes us up
			}
			if w.due.After(now) {
				next = w.due
				break
			}
			c.start(ctx, check, w, results)
			running++
		}
		wake.Reset(min(time.Until(next), c.config.Interval))
	}
	for ; running > 0; running-- {
		<-results
	}
}

// follow makes watches those of the backends in the pool now.
func (c *Checker) follow(watches map[*balancer.Backend]*watch) {
	pool := c.pool.Backends()
	for b, w := range watches {
		if !slices.Contains(pool, b) {
			if w.cancel != nil {
				w.cancel()
			}
			delete(watches, b)
		}
	}
	for _, b := range pool {
		if watches[b] == nil {
			watches[b] = &watch{
				backend: b,
				tracker: healthcheck.New(c.config.Rise, c.config.Fall, b.State() != "down"),
				due:     time.Now(),
			}
		}
	}
}

// waiting are those that no check is under way of, the most urgent first.
// Otherwise, where checks are slow and Parallel is small, the last of the pool
// would never have its turn.
func waiting(watches map[*balancer.Backend]*watch) []*watch {
	var all []*watch
	for _, w := range watches {
		if w.cancel == nil {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *watch) int { return a.due.Compare(b.due) })
	return all
}

// start begins a check of w, whose result will arrive on results.
func (c *Checker) start(ctx context.Context, check func(context.Context, *balancer.Backend) error, w *watch, results chan<- result) {
	ctx, w.cancel = context.WithTimeout(ctx, c.config.Timeout)
	w.due = time.Now().Add(time.Duration((0.9 + 0.2*rand.Float64()) * float64(c.config.Interval)))
	go func() { results <- result{w, check(ctx, w.backend)} }()
}

// take takes the result of a check into account.
func (c *Checker) take(ctx context.Context, watches map[*balancer.Backend]*watch, r result) {
	w := r.watch
	w.cancel()
	w.cancel = nil
	if ctx.Err() != nil || watches[w.backend] != w {
		return // called off
	}
	up, _ := w.tracker.Observe(r.err)
	if w.backend.SetDown(!up) && c.config.OnChange != nil {
		c.config.OnChange(w.backend, up, r.err)
	}
}

// get asks b once. nil is the only good answer.
func (c *Checker) get(ctx context.Context, transport http.RoundTripper, b *balancer.Backend) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Addr()+c.uri, nil)
	if err != nil {
		return fmt.Errorf("checks: %s: %w", b.Name(), err)
	}
	req.Host = c.config.Host
	req.Header.Set("User-Agent", "health-check")
	resp, err := transport.RoundTrip(req) // and no http.Client, which would follow a redirect to somewhere else
	if err != nil {
		return fmt.Errorf("checks: %s: GET %s: %w", b.Name(), c.uri, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != c.config.Status {
		return fmt.Errorf("checks: %s: GET %s: status %d, want %d", b.Name(), c.uri, resp.StatusCode, c.config.Status)
	}
	// A backend that begins an answer and then hangs is not well.
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return fmt.Errorf("checks: %s: GET %s: reading the answer: %w", b.Name(), c.uri, err)
	}
	return nil
}
