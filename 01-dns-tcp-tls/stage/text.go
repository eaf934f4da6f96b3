package stage

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// text prints events for a human: what is where, then what to try, then what
// happens.
func (p program) text(names []string) func(Event) {
	var mu sync.Mutex // guards waiting, and lets one event at a time through
	waiting := len(names)
	what := map[string]string{}
	for _, role := range p.d.Roles {
		what[role.Name] = role.What
	}
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e.Event {
		case Ready:
			fmt.Fprintf(p.stdout, "%-8s %s, at %s\n", e.Role, what[e.Role], e.Addr)
			if waiting--; waiting == 0 {
				p.tips()
			}
		case Request:
			took := ""
			if e.US > 0 {
				took = ms(e.US)
			}
			fmt.Fprintf(p.stdout, "%s  %-8s %-32s %11s  %s\n", e.Time.Format("15:04:05.000"), e.Role, e.Summary, took, details(e.Detail))
		case Clicked:
			waterfall(p.stdout, e.Click)
		case Stopped:
			fmt.Fprintf(p.stdout, "%-8s stopped\n", e.Role)
		case Failed:
			fmt.Fprintf(p.stderr, "%s: %s\n", e.Role, e.Error)
		}
	}
}

// tips prints what to try.
func (p program) tips() {
	fmt.Fprintf(p.stdout, "\n%s\nTry, in another terminal:\n\n", p.d.Title)
	for _, try := range p.d.Try {
		fmt.Fprintf(p.stdout, "  %s\n      %s\n", try.What, try.Command)
	}
	fmt.Fprint(p.stdout, "\nCtrl-C ends it.\n\n")
}

// waterfall prints a request, phase by phase.
func waterfall(w io.Writer, c *Click) {
	connection := "a new connection"
	switch {
	case c.Reused:
		connection = "a connection that was open"
	case c.Resumed:
		connection += ", its TLS session resumed"
	}
	fmt.Fprintf(w, "%s: status %d, %s, over %s\n\n", c.URL, c.Status, cmp.Or(c.Proto, "no answer"), connection)
	for _, phase := range c.Phases {
		fmt.Fprintf(w, "  %-6s at %s for %s  %s\n", phase.Name, ms(phase.StartUS), ms(phase.US), phase.Detail)
	}
	for _, hop := range c.Hops {
		fmt.Fprintf(w, "  of that, %-8s said %s  %s\n", hop.Name, ms(hop.US), hop.Detail)
	}
	fmt.Fprintf(w, "\n%s\n", strings.TrimSuffix(c.Body, "\n"))
}

func ms(us int64) string { return fmt.Sprintf("%8.3f ms", float64(us)/1000) }

func details(detail map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		all = append(all, name+"="+detail[name])
	}
	return strings.Join(all, " ")
}
