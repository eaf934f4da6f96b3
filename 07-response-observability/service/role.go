package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/03-reverse-proxy/edge"
	"clicktocode.example/07-response-observability/meters"
	"clicktocode.example/07-response-observability/operator"
	"clicktocode.example/07-response-observability/solution/readiness"
	"clicktocode.example/07-response-observability/solution/structlog"
	"clicktocode.example/07-response-observability/solution/winddown"
	"clicktocode.example/07-response-observability/telemetry"
)

// How a role ends, in the 10 seconds that it has. Who sends it requests asks twice a
// second whether it is ready, and believes the third "no".
const (
	askEvery = 500 * time.Millisecond
	notice   = 4 * askEvery
	within   = 3500 * time.Millisecond // for its clients; its workers; its pools
	all      = 9 * time.Second
	goodbye  = 500 * time.Millisecond // for the operator's last request
)

// spans is how many the role's last ones are kept, for click: those of a few hundred
// requests.
const spans = 8192

// part is a role at work: the stage that it is on, and what makes it operable.
type part struct {
	*stage.Stage
	telemetry *telemetry.Telemetry
	tracer    trace.Tracer // nil makes no spans
	registry  *prometheus.Registry
	checks    readiness.Config        // what it needs
	health    *readiness.Health       // of the checks; nil before it serves
	routes    map[string]http.Handler // more of the operator's, by pattern
	end       winddown.Plan           // what it has to end, beside serving
}

// body is the work of a role. It gets ready for it, and returns what serves until its
// context is done; what was opened is in p.end, also if there is an error.
type body func(ctx context.Context, p *part) (serve func(context.Context) error, err error)

// operate is the role of b: with traces, metrics, structured logs, a listener for the
// operator at addr, and an end in order.
func (shop *shop) operate(addr string, b body) stage.Run {
	return func(ctx context.Context, s *stage.Stage) (err error) {
		log, err := logger(s.Log.Handler())
		if err != nil {
			return err
		}
		if os.Getenv("GOGC") == "" { // an operator's word counts
			debug.SetGCPercent(edge.GCPercent) // what is said there is true of all roles: what stays is bounded
		}
		p := &part{Stage: &stage.Stage{Name: s.Name, URL: s.URL, Count: s.Count, Log: log}, registry: meters.NewRegistry(s.Name), routes: map[string]http.Handler{}}
		shop.parts.Store(p.Stage, p)
		defer shop.parts.Delete(p.Stage)
		if err := p.trace(ctx); err != nil {
			return err
		}
		p.Emit = func(e stage.Event) {
			if e.Event == stage.Ready {
				p.health.Started()
			}
			s.Emit(e)
		}

		serve, err := b(ctx, p)
		// The last of all, since the others' last spans go there, too.
		defer func() {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
			defer cancel()
			err = errors.Join(err, p.telemetry.Shutdown(last))
		}()
		if err == nil {
			p.health, err = readiness.New(p.checks)
		}
		if err != nil {
			if ctx.Err() != nil { // told to end while it got ready, which is no failure
				err = nil
			}
			return errors.Join(err, winddown.Run(context.WithoutCancel(ctx), p.end))
		}
		door, err := listen(addr, operator.New(operator.Config{Health: p.health, Gatherer: p.registry, Spans: p.telemetry, Routes: p.routes}), p.Log)
		if err != nil {
			return errors.Join(err, winddown.Run(context.WithoutCancel(ctx), p.end))
		}
		defer door.close()
		return p.run(ctx, serve)
	}
}

// trace gives p a tracer, unless the environment wants none.
func (p *part) trace(ctx context.Context) (err error) {
	c := telemetry.Config{Role: p.Name, Export: telemetry.Wanted(), Keep: spans}
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		c.Keep = 0
	}
	if p.telemetry, err = telemetry.New(ctx, c); err == nil && (c.Export || c.Keep > 0) {
		p.tracer = p.telemetry.Tracer(p.Name)
	}
	return err
}

// logger writes by next what LOG_LEVEL wants written.
func logger(next slog.Handler) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(stage.Env("LOG_LEVEL", "warn"))); err != nil {
		return nil, fmt.Errorf("LOG_LEVEL: %w: say debug, info, warn or error", err)
	}
	return slog.New(structlog.New(leveled{next, level})), nil
}

// leveled is a handler for what is at least of a level.
type leveled struct {
	slog.Handler
	least slog.Level
}

func (h leveled) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.least && h.Handler.Enabled(ctx, level)
}

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.least}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.least}
}

// run serves until ctx is done, or serve has failed, and ends all in order.
func (p *part) run(ctx context.Context, serve func(context.Context) error) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- serve(serving) }()
	plan := p.end
	plan.Within = within
	select {
	case err := <-ended: // before its time: nothing is left to wait for
		return errors.Join(err, winddown.Run(context.WithoutCancel(ctx), plan))
	case <-ctx.Done():
	}
	plan.NotReady, plan.Notice = p.health.Drain, notice
	plan.Servers = append([]winddown.Step{{Name: p.Name, Do: func(ctx context.Context) error {
		stop()
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}}}, plan.Servers...)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), all)
	defer cancel()
	return winddown.Run(last, plan)
}

// door is where the operator comes in.
type door struct {
	server *http.Server
	ended  chan struct{}
}

func listen(addr string, h http.Handler, log *slog.Logger) (*door, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("service: for the operator: %w", err)
	}
	d := &door{&http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}, make(chan struct{})}
	go func() {
		defer close(d.ended)
		_ = d.server.Serve(ln) // ends by close
	}()
	return d, nil
}

func (d *door) close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	if d.server.Shutdown(ctx) != nil {
		d.server.Close()
	}
	<-d.ended
}
