package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// column is a figure of a sample.
type column struct {
	title string
	unit  string
	of    func(s sample) float64 // below zero: not known
}

var columns = []column{
	{"requests/s", "%.0f", func(s sample) float64 { return s.rate }},
	{"p50 ms", "%.2f", func(s sample) float64 { return s.p50 }},
	{"p99 ms", "%.2f", func(s sample) float64 { return s.p99 }},
	{"CPU µs", "%.1f", func(s sample) float64 { return s.cpu }},
}

// print writes a table for each mode: each figure, and behind it its ratio to
// nginx's. Ratios are made within a round, and the median is taken of them: a
// minute in which the machine was busy with something else is in both.
func print(w io.Writer, o options, results []*result) error {
	var b strings.Builder
	fmt.Fprintln(&b, setting(o))
	var nginx *result
	for _, r := range results {
		if strings.HasPrefix(r.name, "nginx") {
			nginx = r
		}
	}
	for _, m := range o.modes {
		fmt.Fprintf(&b, "\n%-26s", titles[m])
		for _, c := range columns {
			fmt.Fprintf(&b, "%18s", c.title)
		}
		fmt.Fprintf(&b, "%18s%8s\n", "memory MB", "errors")
		for _, r := range results {
			samples := r.samples[m]
			if len(samples) == 0 {
				continue
			}
			fmt.Fprintf(&b, "%-26s", r.name)
			errors := 0
			for _, s := range samples {
				errors += s.errors
			}
			for _, c := range columns {
				var base []float64
				if nginx != nil {
					base = values(nginx.samples[m], c.of)
				}
				cell(&b, c.unit, values(samples, c.of), base)
			}
			var base []float64
			if nginx != nil {
				base = nginx.memory
			}
			cell(&b, "%.0f", r.memory, base)
			fmt.Fprintf(&b, "%8d\n", errors)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell writes the median of figures, and that of their ratios to base's.
func cell(w io.Writer, unit string, figures, base []float64) {
	if len(figures) == 0 || figures[0] < 0 {
		fmt.Fprintf(w, "%18s", "not measured here")
		return
	}
	ratio := ""
	if len(base) == len(figures) {
		var ratios []float64
		for i, f := range figures {
			ratios = append(ratios, f/base[i])
		}
		ratio = fmt.Sprintf("%.2f", median(ratios))
	}
	fmt.Fprintf(w, "%12s%6s", fmt.Sprintf(unit, median(figures)), ratio)
}

func values(samples []sample, of func(sample) float64) (all []float64) {
	for _, s := range samples {
		all = append(all, of(s))
	}
	return all
}

// median of an even number is the mean of the two in the middle.
func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	if n == 0 {
		return 0
	}
	return (all[(n-1)/2] + all[n/2]) / 2
}
