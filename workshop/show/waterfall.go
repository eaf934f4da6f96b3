package show

import (
	"fmt"
	"strings"

	"clicktocode.example/workshop/stack"
)

// Waterfall is one request as a table of its phases, each with a bar that
// starts where it started and is as long as it took.
func (p Page) Waterfall(c stack.Click) string {
	const columns = 32
	var b strings.Builder
	how := []string{c.Proto}
	if c.Reused {
		how = append(how, "connection reused")
	} else if c.Resumed {
		how = append(how, "TLS session resumed")
	}
	status := p.Good(fmt.Sprint(c.Status))
	if c.Status >= 400 {
		status = p.Bad(fmt.Sprint(c.Status))
	}
	fmt.Fprintf(&b, "%s  %s  %s\n\n", p.Bold(c.URL), status, p.Faint(strings.Join(how, ", ")))
	names := len("total")
	for _, h := range c.Hops {
		names = max(names, len(h.Name))
	}
	total := int64(1)
	for _, ph := range c.Phases {
		total = max(total, ph.Start+ph.Micros)
	}
	for _, ph := range c.Phases {
		first := int(ph.Start * columns / total)
		cells := max(1, int((ph.Micros*columns+total/2)/total))
		cells = min(cells, columns-min(first, columns-1))
		bar := strings.Repeat(" ", min(first, columns-1)) + strings.Repeat("█", cells)
		fmt.Fprintf(&b, "  %-*s  %s%s %8s  %s\n", names, ph.Name, p.Link(bar), strings.Repeat(" ", max(0, columns-min(first, columns-1)-cells)), Millis(ph.Micros), p.Faint(ph.Detail))
	}
	fmt.Fprintf(&b, "  %-*s  %s %8s\n", names, "total", strings.Repeat(" ", columns), Millis(total))
	if len(c.Hops) > 0 {
		fmt.Fprintln(&b)
		for _, h := range c.Hops {
			fmt.Fprintf(&b, "  %-*s  %s %8s  %s\n", names, h.Name, p.Faint(fmt.Sprintf("%-*s", columns, "of that, by its own word")), Millis(h.Micros), p.Faint(h.Detail))
		}
	}
	if body := strings.TrimSpace(c.Body); body != "" {
		fmt.Fprintln(&b)
		for _, line := range strings.Split(body, "\n") {
			fmt.Fprintln(&b, "  "+line)
		}
	}
	var lines []string
	for _, line := range strings.Split(b.String(), "\n") {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return strings.Join(lines, "\n")
}

// Millis is a time in microseconds as milliseconds.
func Millis(micros int64) string { return fmt.Sprintf("%.2f ms", float64(micros)/1000) }
