// Command simulate sends the same requests through each of the chapter's
// pickers, in a time of its own, and prints how long they took. Nothing is sent
// anywhere, and no time passes: it is done in a moment, and every run of one
// seed comes out the same.
//
// With -svg it draws the picture of the lesson:
//
//	go run ./02-load-balancer/simulate -svg 02-load-balancer/simulate/latency.svg
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

//go:generate go run . -svg latency.svg

func main() {
	seed := flag.Uint64("seed", 1, "what chance begins with: another one, another day")
	svg := flag.String("svg", "", "a file to draw the picture into")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "simulate: %q: it takes flags alone; see -help\n", flag.Args())
		os.Exit(2)
	}
	results, err := run(*seed)
	if err == nil && *svg != "" {
		err = os.WriteFile(*svg, draw(results), 0o644)
	}
	if err == nil {
		err = print(os.Stdout, results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

// result is what came of one scenario.
type result struct {
	scenario scenario
	rows     []row
}

// row is how long the requests took through one picker.
type row struct {
	picker string
	took   latencies
}

func run(seed uint64) (results []result, err error) {
	for _, s := range scenarios {
		r := result{scenario: s}
		for _, p := range pickers {
			took, err := s.play(p, seed)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", s.title, p.name, err)
			}
			r.rows = append(r.rows, row{p.name, took})
		}
		results = append(results, r)
	}
	return results, nil
}

func print(w io.Writer, results []result) error {
	_, err := fmt.Fprintf(w, "%s\n", setting())
	for _, r := range results {
		if err == nil {
			_, err = fmt.Fprintf(w, "\n%s\n%-20s %8s %8s %8s %8s\n", r.scenario.title, "", "p50", "p90", "p99", "p99.9")
		}
		for _, row := range r.rows {
			if err == nil {
				_, err = fmt.Fprintf(w, "%-20s %8s %8s %8s %8s\n", row.picker, ms(row.took.at(50)), ms(row.took.at(90)), ms(row.took.at(99)), ms(row.took.at(99.9)))
			}
		}
	}
	return err
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
