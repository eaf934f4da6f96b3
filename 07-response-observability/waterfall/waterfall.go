// Package waterfall shows where the time of a whole journey went: what the client has
// measured itself, DNS, TCP, TLS and the wait, and inside of that wait the spans of
// all roles, each indented below the one that it is a part of.
//
//	wait
//	  edge1 POST /orders (PASS)
//	    POST replica
//	      a POST /orders
//	        get menu (hit)
//	        INSERT orders
//	        POST payments
//	body
//
// The roles keep the spans (package telemetry), and their operators' listeners show
// them by trace. So there is a waterfall on a laptop without a collector. Where a role
// does not answer, its spans are missing, and the others are shown all the same.
//
// In the story, it is the bill that says who had the order in hand, and for how long.
package waterfall

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/07-response-observability/telemetry"
)

const (
	collectWithin = 500 * time.Millisecond // for all roles together
	maxAnswer     = 4 << 20                // octets of one role's spans
	maxSpans      = 200                    // that are shown
	slack         = time.Millisecond       // by which one machine's clocks may differ
)

// Collect asks the operators' listeners at addrs, as "127.0.0.1:9401", side by side,
// for the spans of id, and returns all that were told, sorted by start, within half a
// second, or until ctx is done. err names those that did not answer, all at once; the
// others' spans are there all the same.
func Collect(ctx context.Context, id trace.TraceID, addrs []string) ([]telemetry.Span, error) {
	spans, faults := collect(ctx, id, addrs)
	return spans, errors.Join(faults...)
}

// collect is Collect, with the fault, or nil, of each of addrs.
func collect(ctx context.Context, id trace.TraceID, addrs []string) ([]telemetry.Span, []error) {
	ctx, cancel := context.WithTimeout(ctx, collectWithin)
	defer cancel()
	spans, faults := make([][]telemetry.Span, len(addrs)), make([]error, len(addrs))
	var all sync.WaitGroup
	for i, addr := range addrs {
		all.Go(func() { spans[i], faults[i] = ask(ctx, id, addr) })
	}
	all.Wait()
	told := slices.Concat(spans...)
	slices.SortStableFunc(told, func(a, b telemetry.Span) int { return a.Start.Compare(b.Start) })
	return told, faults
}

// operators is for a moment's questions: no connection stays, and no proxy is asked.
var operators = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func ask(ctx context.Context, id trace.TraceID, addr string) (spans []telemetry.Span, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/spans?trace="+id.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("waterfall: operator %q: %w", addr, err)
	}
	resp, err := operators.Do(req)
	if err != nil {
		return nil, fmt.Errorf("waterfall: operator: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("waterfall: operator %s: %s", addr, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&spans); err != nil {
		return nil, fmt.Errorf("waterfall: operator %s: %w", addr, err)
	}
	return spans, nil
}

// Phases are click's phases, with spans, those of its trace, behind the wait: each
// below its parent, two spaces further in, by start. The request began at start. A
// span's name is led by its role where that is another one than its parent's, and says
// what a cache did. Times are those of the spans.
//
// Where the clocks of two machines differ, a span seems to begin before the one that
// it is a part of, or behind it. Then it is shown in its middle, with all that is below
// it. A span whose parent is missing stands directly below the wait.
func Phases(click stage.Click, spans []telemetry.Span, start time.Time) []stage.Phase {
	return phases([]request{{click: click, start: start}}, spans)
}

// request is one of a journey.
type request struct {
	name  string // in the place of "wait"; empty is that
	id    string // of its span; empty is the parent of whatever has none
	click stage.Click
	start time.Time
}

// phases are those of all requests, from the first one's start on.
func phases(requests []request, spans []telemetry.Span) []stage.Phase {
	t := newTree(requests, spans)
	all := []stage.Phase{}
	for i, r := range requests {
		behind := r.start.Sub(requests[0].start)
		var end time.Time
		for _, p := range r.click.Phases {
			end = r.start.Add(time.Duration(p.StartUS+p.US) * time.Microsecond)
		}
		for _, p := range r.click.Phases {
			wait := p.Name == "wait"
			at := r.start.Add(time.Duration(p.StartUS) * time.Microsecond)
			p.StartUS += behind.Microseconds()
			switch {
			case wait:
				p.Name = cmp.Or(r.name, p.Name)
			case p.Name == "body":
				p.Detail = "the way back, " + p.Detail
			}
			all = append(all, p)
			if wait {
				all = t.below(all, t.roots[i], "", at, end, 0, "  ")
			}
		}
	}
	return all
}

// tree is the spans by who they are a part of.
type tree struct {
	base     time.Time
	children map[string][]telemetry.Span // by their parent's ID
	roots    [][]telemetry.Span          // by request
	left     int                         // how many more are shown
}

func newTree(requests []request, spans []telemetry.Span) *tree {
	t := &tree{base: requests[0].start, children: map[string][]telemetry.Span{}, roots: make([][]telemetry.Span, len(requests)), left: maxSpans}
	known := map[string]bool{}
	for _, s := range spans {
		known[s.ID] = true
	}
	spans = slices.Clone(spans)
	slices.SortStableFunc(spans, func(a, b telemetry.Span) int { return a.Start.Compare(b.Start) })
	for _, s := range spans {
		if known[s.Parent] && s.Parent != s.ID {
			t.children[s.Parent] = append(t.children[s.Parent], s)
			continue
		}
		of := slices.IndexFunc(requests, func(r request) bool { return r.id != "" && r.id == s.Parent })
		if of < 0 { // by the time, then
			of = 0
			for i, r := range requests {
				if !s.Start.Before(r.start) {
					of = i
				}
			}
		}
		t.roots[of] = append(t.roots[of], s)
	}
	return t
}

// below adds spans, the parts of what role did from begin to end, and what is below
// them. shift is by how much the role's clock is behind ours.
func (t *tree) below(all []stage.Phase, spans []telemetry.Span, role string, begin, end time.Time, shift time.Duration, indent string) []stage.Phase {
	for _, s := range spans {
		if t.left == 0 {
			return all
		}
		t.left--
		shift := shift
		took := max(s.End.Sub(s.Start), 0)
		if s.Role != role {
			if at := s.Start.Add(shift); at.Before(begin.Add(-slack)) || at.After(end.Add(slack)) {
				shift = begin.Add(max(end.Sub(begin)-took, 0) / 2).Sub(s.Start)
			}
		}
		at := s.Start.Add(shift)
		name := s.Name
		if s.Role != role {
			name = s.Role + " " + name
		}
		all = append(all, stage.Phase{
			Name: indent + name + cacheResult(s), Detail: detail(s),
			StartUS: max(at.Sub(t.base).Microseconds(), 0), US: took.Microseconds(),
		})
		children := t.children[s.ID]
		delete(t.children, s.ID) // whatever the spans say, each is shown once
		all = t.below(all, children, s.Role, at, at.Add(took), shift, indent+"  ")
	}
	return all
}

// cacheResult is what a cache did: memcached, by cache.result, or an edge, by its
// Cache-Status (RFC 9211), of which the last member is its own.
func cacheResult(s telemetry.Span) string {
	if result := s.Attributes["cache.result"]; result != "" {
		return " (" + result + ")"
	}
	members := strings.Split(s.Attributes["cache"], ",")
	for _, parameter := range strings.Split(members[len(members)-1], ";")[1:] {
		switch name, value, _ := strings.Cut(strings.TrimSpace(parameter), "="); {
		case name == "hit":
			return " (HIT)"
		case name != "fwd":
		case value == "stale":
			return " (STALE)"
		case strings.HasSuffix(value, "miss"):
			return " (MISS)"
		default: // bypass, method, request: it was not asked
			return " (PASS)"
		}
	}
	return ""
}

// detail is which system was asked, if it has no role of its own, and how it went.
func detail(s telemetry.Span) string {
	var said []string
	switch system := s.Attributes["db.system.name"]; system {
	case "":
	case "postgresql":
		said = append(said, "PostgreSQL")
	default:
		said = append(said, system)
	}
	if status := s.Attributes["http.response.status_code"]; s.Error != "" {
		said = append(said, s.Error)
	} else if status != "" {
		said = append(said, "status "+status)
	}
	return strings.Join(said, ": ")
}
