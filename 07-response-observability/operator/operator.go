// Package operator is what the operator of a role can ask it, on a listener beside
// the one for guests:
//
//	GET /livez          is the process past help?            (package readiness)
//	GET /readyz         shall it get requests?
//	GET /metrics        what has it counted?                 (Prometheus)
//	GET /spans?trace=   what did it do for one request?      (package telemetry)
//	GET /debug/pprof/   where does its time and memory go?   (net/http/pprof)
//
// It belongs on loopback, or on a network that no guest is in. Whoever reaches it
// sees inside, and can make the process work: a profile takes CPU for as long as it
// is asked to. So nothing that guests can reach has a route to it, and what a browser
// sends for a page of another site is refused.
//
// In the story, the window in the kitchen door.
//
// Source: Kubernetes for the names of the first two; OpenMetrics 1.0.
package operator

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"clicktocode.example/07-response-observability/solution/readiness"
)

// Config is what a role shows. What is nil is not there: its path is answered with 404.
type Config struct {
	Health   *readiness.Health
	Gatherer prometheus.Gatherer // a *prometheus.Registry
	Spans    http.Handler        // a *telemetry.Telemetry
	// Routes are more, by patterns of http.ServeMux that have no host, as "/backends".
	// One that is there already, or is no pattern, panics: it is written in the source.
	Routes map[string]http.Handler
	// Log gets what is wrong with the metrics. nil means slog.Default(), as it is when
	// New is called.
	Log *slog.Logger
}

// How much an operator may cost those who work.
const (
	scrapes  = 4               // at once
	scraping = 5 * time.Second // Prometheus gives up after 10
)

// New returns the handler of the operator's listener. Its server should have no
// WriteTimeout below a minute: a profile takes 30 seconds, unless ?seconds= says
// otherwise.
func New(c Config) http.Handler {
	log := c.Log
	if log == nil {
		log = slog.Default()
	}
	mux := http.NewServeMux()
	if c.Health != nil {
		mux.HandleFunc("GET /livez", c.Health.Live)
		mux.HandleFunc("GET /readyz", c.Health.Ready)
	}
	if c.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(c.Gatherer, promhttp.HandlerOpts{
			EnableOpenMetrics:   true, // the only text that has room for exemplars
			ErrorHandling:       promhttp.ContinueOnError,
			ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
			MaxRequestsInFlight: scrapes,
			Timeout:             scraping,
		}))
	}
	if c.Spans != nil {
		mux.Handle("GET /spans", c.Spans)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	for pattern, h := range c.Routes {
		mux.Handle(pattern, h)
	}
	return guard(mux)
}

// guard refuses what a page in the operator's browser sends: it may name any address,
// and a name of its own that leads to this one (DNS rebinding).
func guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r.Host) {
			http.Error(w, "say it to the address that this listens at, or to localhost", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	}))
}

// local reports whether host, with a port or without, is one that no page can have
// made up: an address, or localhost, or a name without a dot, as in a private network.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return !strings.Contains(host, ".")
}
