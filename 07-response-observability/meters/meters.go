// Package meters shows Prometheus what the layers have counted. They count for
// themselves, in plain numbers, and know nothing of Prometheus: what is here asks them
// whenever it is asked.
//
//	edge      cache_requests_total{result}, cache_stored_bytes …       Cache
//	          balancer_backend_state{backend, state} …                 Balancer
//	          balancer_retries_total …                                 Attempts
//	app       memcached_reads_total{what, result} …                    NewMemcached
//	          go_sql_in_use_connections …                              collectors.NewDBStatsCollector
//	worker    outbox_mails{state}, outbox_oldest_age_seconds …         Outbox
//	each      http_requests_total …                                    package redmetrics
//	          go_…, process_…, shop_build_info{role, revision}         NewRegistry
//
// Units are seconds and octets, and counters end in _total. Labels have a few values
// each, all of which are there from the beginning, since a counter that begins with 1
// shows no step. Which process it was is not among them: Prometheus adds job and
// instance itself, of whom it has asked.
//
// In the story, the owner's round with a slate, from the gate to the post box.
//
// Source: Prometheus, "Writing exporters" and "Metric and label naming".
package meters

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/03-reverse-proxy/cache"
	"clicktocode.example/06-database-cache/cached"
	"clicktocode.example/07-response-observability/outbox"
)

// NewRegistry returns a registry that knows what is the same in every role: memory,
// goroutines, CPU, descriptors, and which program it is.
func NewRegistry(role string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	built := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "shop_build_info", Help: "1, of this role and of what its program was built from.",
		ConstLabels: prometheus.Labels{"role": role, "revision": revision(), "goversion": runtime.Version()}})
	built.Set(1)
	reg.MustRegister(built)
	return reg
}

// revision is the commit, as far as the program knows it.
func revision() string {
	if built, ok := debug.ReadBuildInfo(); ok {
		for _, s := range built.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// collector shows what tell says, which has the descriptions told.
type collector struct {
	told []*prometheus.Desc
	tell func(to chan<- prometheus.Metric)
}

func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.told {
		to <- d
	}
}

func (c *collector) Collect(to chan<- prometheus.Metric) { c.tell(to) }

// describe adds a metric to what c tells.
func (c *collector) describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	c.told = append(c.told, d)
	return d
}

// count and gauge tell one number. labels are as many as d has: that is in the source.

func count(to chan<- prometheus.Metric, d *prometheus.Desc, n uint64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func gauge(to chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Cache shows an edge's cache. stats is its Stats.
func Cache(stats func() cache.Stats) prometheus.Collector {
	c := &collector{}
	requests := c.describe("cache_requests_total", "Requests by what came of them in the cache.", "result")
	evictions := c.describe("cache_evictions_total", "Entries that had to go, for others to have room.")
	entries := c.describe("cache_entries", "Entries that are stored.")
	stored := c.describe("cache_stored_bytes", "What the entries take, those on their way included.")
	limit := c.describe("cache_limit_bytes", "What they may take.")
	c.tell = func(to chan<- prometheus.Metric) {
		s := stats()
		count(to, requests, s.Hits, "hit")
		count(to, requests, s.Stale, "stale")
		count(to, requests, s.Revalidated, "revalidated")
		count(to, requests, s.Misses, "miss")
		count(to, requests, s.Collapsed, "collapsed")
		count(to, requests, s.Bypassed, "bypass")
		count(to, evictions, s.Evictions)
		gauge(to, entries, float64(s.Entries))
		gauge(to, stored, float64(s.Bytes))
		gauge(to, limit, float64(s.MaxBytes))
	}
	return c
}

// Balancer shows the backends of pool, as this process sees them: of a balancer for
// HTTP or for connections.
func Balancer(pool *balancer.Pool) prometheus.Collector {
	c := &collector{}
	state := c.describe("balancer_backend_state", "1 for the state that the backend is in, 0 for the others.", "backend", "state")
	active := c.describe("balancer_backend_in_flight", "Requests, or connections, that are with the backend.", "backend")
	attempts := c.describe("balancer_backend_attempts_total", "Requests, or connections, that were sent to the backend.", "backend")
	c.tell = func(to chan<- prometheus.Metric) {
		for _, b := range pool.Backends() {
			now := b.State() // once: it may change between the series
			for _, is := range []string{"up", "down", "ejected", "draining"} {
				v := 0.0
				if is == now {
					v = 1
				}
				gauge(to, state, v, b.Name(), is)
			}
			gauge(to, active, float64(b.Active()), b.Name())
			count(to, attempts, b.Begun(), b.Name())
		}
	}
	return c
}

// Attempts shows how a balancer for HTTP got on. stats is its Stats.
func Attempts(stats func() dispatch.Stats) prometheus.Collector {
	c := &collector{}
	requests := c.describe("balancer_requests_total", "Requests of clients, however many attempts each took.")
	retries := c.describe("balancer_retries_total", "Attempts beyond a request's first.")
	failed := c.describe("balancer_failed_attempts_total", "Attempts that got no answer.")
	unserved := c.describe("balancer_unserved_requests_total", "Requests for which no backend was to be had.")
	c.tell = func(to chan<- prometheus.Metric) {
		s := stats()
		count(to, requests, s.Requests)
		count(to, retries, s.Retries)
		count(to, failed, s.Failed)
		count(to, unserved, s.Unserved)
	}
	return c
}

// Outbox shows the mail that waits, and what became of the rest. stats is a Loop's
// Stats. What is in the table is not told before it was counted.
func Outbox(stats func() outbox.Stats) prometheus.Collector {
	c := &collector{}
	mails := c.describe("outbox_mails", "Mails in the table: due, to be tried later, or set aside.", "state")
	oldest := c.describe("outbox_oldest_age_seconds", "The age of the oldest mail that is due or later; 0 if there is none.")
	counted := c.describe("outbox_counted_timestamp_seconds", "When these were counted. Older than a minute: the database does not answer.")
	sent := c.describe("outbox_sent_total", "Mails that this worker has sent.")
	failed := c.describe("outbox_failed_attempts_total", "Attempts of this worker that failed.")
	c.tell = func(to chan<- prometheus.Metric) {
		s := stats()
		if !s.At.IsZero() {
			gauge(to, mails, float64(s.Due), "due")
			gauge(to, mails, float64(s.Later), "later")
			gauge(to, mails, float64(s.Dead), "dead")
			gauge(to, oldest, s.Oldest.Seconds())
			gauge(to, counted, float64(s.At.UnixMilli())/1000)
		}
		count(to, sent, s.Sent)
		count(to, failed, s.Failed)
	}
	return c
}

// Memcached shows how chapter 6's cache gets on. Make one with NewMemcached.
type Memcached struct {
	collector
	reads  map[string]*[2]atomic.Uint64 // by what: hits and misses
	faults map[string]*atomic.Uint64    // by call
	lost   atomic.Uint64
	down   atomic.Pointer[func() (down, all int)]
}

// NewMemcached returns what counts from now on what c's cache tells, and has c tell it:
// call it before the cache is made of c. Functions that c has already are called as
// before.
func NewMemcached(c *cached.Config) *Memcached {
	m := &Memcached{reads: map[string]*[2]atomic.Uint64{}, faults: map[string]*atomic.Uint64{}}
	for _, what := range []string{cached.TheMenu, cached.AnOrder} {
		m.reads[what] = new([2]atomic.Uint64)
	}
	for _, call := range []string{"get", "set", "add", "cas", "delete"} {
		m.faults[call] = new(atomic.Uint64)
	}
	read := func(kind int, then func(string)) func(string) {
		return func(what string) {
			if n := m.reads[what]; n != nil {
				n[kind].Add(1)
			}
			if then != nil {
				then(what)
			}
		}
	}
	c.Hit, c.Miss = read(0, c.Hit), read(1, c.Miss)
	fault, lost := c.Fault, c.Lost
	c.Fault = func(call string, err error) {
		if n := m.faults[call]; n != nil {
			n.Add(1)
		}
		if fault != nil {
			fault(call, err)
		}
	}
	c.Lost = func(key string, err error) {
		m.lost.Add(1)
		if lost != nil {
			lost(key, err)
		}
	}

	reads := m.describe("memcached_reads_total", "Reads of the menu or of an order: a miss has asked the database.", "what", "result")
	faults := m.describe("memcached_faults_total", "Calls that a server did not answer, or not in time.", "call")
	stale := m.describe("memcached_lost_deletes_total", "Deletes that were lost: something is old, for its TTL.")
	servers := m.describe("memcached_servers", "Servers, by whether they are asked.", "state")
	m.tell = func(to chan<- prometheus.Metric) {
		for what, n := range m.reads {
			count(to, reads, n[0].Load(), what, "hit")
			count(to, reads, n[1].Load(), what, "miss")
		}
		for call, n := range m.faults {
			count(to, faults, n.Load(), call)
		}
		count(to, stale, m.lost.Load())
		if down := m.down.Load(); down != nil {
			down, all := (*down)()
			gauge(to, servers, float64(all-down), "up")
			gauge(to, servers, float64(down), "down")
		}
	}
	return m
}

// Watch has m tell how many servers are down, too. down is the cache's Down.
func (m *Memcached) Watch(down func() (down, all int)) { m.down.Store(&down) }
