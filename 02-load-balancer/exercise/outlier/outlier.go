// Package outlier takes a backend out for a while when requests to it fail:
// passive health checking, which Envoy calls outlier detection and HAProxy
// observe.
//
// Active checks ask a question of their own, now and then. Requests ask the
// real one, all the time: they find out first, and also about a backend that
// answers its health check and nothing else. In the story, a waiter who got
// three burnt plates from one kitchen takes his next orders elsewhere, and
// tries that kitchen again later.
//
// What it knows is one balancer's own view, and a guess. Where all backends
// fail, the fault is most likely none of theirs: a database, the network, a bad
// request that a client repeats. Taking out all would turn errors into an
// outage. So most of the pool stays in, whatever happens.
//
// When not to use it: with a handful of requests a minute, failures in a row
// say little. And it is no circuit breaker: it spares the clients a bad
// backend, not the backend its load.
//
// Source: Envoy's documentation, "Outlier detection" and "Panic threshold";
// HAProxy's configuration manual, "observe" and "on-error". RFC 9110 §15.5 and
// §15.6 on who is to blame for a 4xx and for a 5xx.
package outlier

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"clicktocode.example/02-load-balancer/balancer"
)

// Config says when a backend is ejected, and for how long.
type Config struct {
	// Failures is how many failures in a row eject a backend. Zero means 5.
	Failures int
	// BaseTime is how long the first ejection lasts. Zero means 30 s.
	BaseTime time.Duration
	// MaxTime is how long one lasts at most, and at least BaseTime. Zero means
	// ten times BaseTime.
	MaxTime time.Duration
	// MinAvailable is the share of the pool's backends that stay available,
	// above 0 and up to 1: an ejection that leaves fewer is not made. Zero means
	// 0.5: of three backends one may be ejected, and the only one of its pool
	// never.
	MinAvailable float64
	// OnChange, unless nil, is told of each ejection and of its end, one at a
	// time. It must return soon, and call no method of the Detector.
	OnChange func(b *balancer.Backend, ejected bool)
}

// Detector watches what becomes of the requests to the backends of one pool,
// and alone sets whether these are ejected. Its methods may be called by many
// goroutines at once. Make one with New; whoever does so calls Close.
type Detector struct {
	pool   *balancer.Pool
	config Config // without zeros

	mu     sync.Mutex // guards what follows, and the hosts
	hosts  map[*balancer.Backend]*host
	closed bool
}

// host is what is known of one backend.
type host struct {
	failures int           // in a row, up to the last request
	lasted   time.Duration // the last ejection, or that of now; zero before the first
	returned time.Time     // from that one; when it was first heard of, before the first
	timer    *time.Timer   // ends the ejection; nil while it is not ejected
}

// New returns a detector for the backends that are in pool, whenever they come
// and go. The error names all that is wrong with config.
func New(pool *balancer.Pool, config Config) (*Detector, error) {
	var errs []error
	if config.Failures < 0 {
		errs = append(errs, fmt.Errorf("outlier: %d failures", config.Failures))
	}
	if config.BaseTime < 0 {
		errs = append(errs, fmt.Errorf("outlier: base time of %s", config.BaseTime))
	}
	if !(0 <= config.MinAvailable && config.MinAvailable <= 1) { // false for NaN
		errs = append(errs, fmt.Errorf("outlier: minimum available of %v: want a share, above 0 and up to 1", config.MinAvailable))
	}
	if config.Failures == 0 {
		config.Failures = 5
	}
	if config.BaseTime == 0 {
		config.BaseTime = 30 * time.Second
	}
	if config.MaxTime == 0 {
		config.MaxTime = 10 * config.BaseTime
	}
	if config.MaxTime < config.BaseTime {
		errs = append(errs, fmt.Errorf("outlier: maximum time of %s, and base time of %s: want at least that", config.MaxTime, config.BaseTime))
	}
	if config.MinAvailable == 0 {
		config.MinAvailable = 0.5
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Detector{pool: pool, config: config, hosts: map[*balancer.Backend]*host{}}, nil
}

// Report takes into account what became of one request to b, a backend of the
// pool: the status of its answer, or the error that came instead; with an
// error, status means nothing. Call it once for each attempt.
//
// A status of 500 and above is a failure, and so is an error: a connection
// refused or broken, a timeout. Every other status is a success, 4xx too: the
// backend is well, and tells the client that its request is not. An error that
// wraps context.Canceled is neither: the client left before the answer came,
// and nothing was found out.
//
// Config.Failures failures in a row, with no success between them, eject b. But
// while fewer than Config.MinAvailable of the pool's backends would be left
// available, which one that is down or draining is not, b stays; what was
// counted against it stays, too, so its next failure ejects it if there is room
// by then. What is reported of a backend that is not available is ignored: it
// was sent before, and says nothing new.
//
// The first ejection lasts Config.BaseTime, and each further one BaseTime longer
// than the last, less the time that b was back in between, and never less than
// BaseTime nor longer than Config.MaxTime. After it, the count is zero.
func (d *Detector) Report(b *balancer.Backend, status int, err error) {
	// TODO(outlier): Sort out what is neither success nor failure. Under the lock, a
	// success clears hostLocked(b).failures, and a failure counts. When there
	// are enough, go through d.pool.Backends() to see how many would stay
	// available; if there are enough, reckon how long it lasts, and
	// call ejectLocked.
	// The reference imports, besides what stands above: "context", "net/http".
}

// Review brings all ejected backends back when fewer than Config.MinAvailable
// of the pool's backends are available, and reports whether there were any.
// Report never goes that far, but active checks may take others down. A guess
// must not cost the last that could answer: this is Envoy's panic threshold.
//
// Call it when active checks have changed something, when backends left, and
// when a picker found none, which may then try again.
func (d *Detector) Review() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	pool, available := d.pool.Backends(), 0
	for _, b := range pool {
		if b.Available() {
			available++
		}
	}
	if float64(available) >= d.config.MinAvailable*float64(len(pool)) {
		return false
	}
	return d.returnAllLocked()
}

// Close brings all ejected backends back. Reports that come later are ignored.
func (d *Detector) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.returnAllLocked()
}

// hostLocked returns what is known of b, which is nothing at first. When it
// hears of a new one, it forgets those that have left the pool.
func (d *Detector) hostLocked(b *balancer.Backend) *host {
	h := d.hosts[b]
	if h == nil {
		pool := d.pool.Backends()
		for old, h := range d.hosts {
			if h.timer == nil && !slices.Contains(pool, old) {
				delete(d.hosts, old)
			}
		}
		h = &host{returned: time.Now()}
		d.hosts[b] = h
	}
	return h
}

// ejectLocked ejects b, whose host is h, sets h.failures to zero, and brings b
// back once that has lasted.
func (d *Detector) ejectLocked(b *balancer.Backend, h *host, lasts time.Duration) {
	if d.closed || h.timer != nil {
		return
	}
	h.failures, h.lasted = 0, lasts
	var timer *time.Timer
	timer = time.AfterFunc(lasts, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if h.timer == timer { // and nobody brought it back while this waited for the lock
			d.returnLocked(b, h)
		}
	})
	h.timer = timer
	d.setLocked(b, true)
}

// returnLocked brings b back, which is ejected and whose host is h.
func (d *Detector) returnLocked(b *balancer.Backend, h *host) {
	h.timer.Stop()
	h.timer, h.returned = nil, time.Now()
	d.setLocked(b, false)
}

// returnAllLocked brings all ejected backends back, and reports whether there
// were any.
func (d *Detector) returnAllLocked() (some bool) {
	for b, h := range d.hosts {
		if h.timer != nil {
			d.returnLocked(b, h)
			some = true
		}
	}
	return some
}

func (d *Detector) setLocked(b *balancer.Backend, ejected bool) {
	if b.SetEjected(ejected) && d.config.OnChange != nil {
		d.config.OnChange(b, ejected)
	}
}
