package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"time"
)

// The picture's measures, in pixels.
const (
	width    = 760
	margin   = 20
	left     = 170 // where the bars begin
	right    = 70  // room for the number behind the longest one
	barStep  = 26
	barWidth = 16
	headRoom = 56 // above a scenario's bars
)

// draw returns an SVG: for each picker a bar up to its p99, and in it one up to
// its p50.
func draw(results []result) []byte {
	var longest time.Duration
	rows := 0
	for _, r := range results {
		for _, row := range r.rows {
			longest = max(longest, row.took.at(99))
			rows++
		}
	}
	height := margin + len(results)*headRoom + rows*barStep + 40
	length := func(d time.Duration) int { return int(int64(width-left-right) * int64(d) / int64(longest)) }

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="13" fill="#24292f" role="img">`+"\n", width, height)
	fmt.Fprintln(&b, "<title>How long a request takes, by how its backend is picked</title>")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="6" fill="#ffffff"/>`+"\n", width, height)
	y := margin
	for _, r := range results {
		text(&b, margin, y+24, `font-size="15" font-weight="bold"`, r.scenario.title)
		y += headRoom - 12
		for _, row := range r.rows {
			half, most := row.took.at(50), row.took.at(99)
			text(&b, left-10, y+barWidth-3, `text-anchor="end"`, row.picker)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#ffd97a"/>`+"\n", left, y, length(most), barWidth)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#8a6100"/>`+"\n", left, y, length(half), barWidth)
			text(&b, left+length(most)+6, y+barWidth-3, "", ms(most))
			y += barStep
		}
		y += 12
	}
	y += 6
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="#8a6100"/>`+"\n", left, y)
	text(&b, left+18, y+11, "", "half of all requests are done")
	fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="#ffd97a"/>`+"\n", left+230, y)
	text(&b, left+248, y+11, "", "99 of 100 are done")
	fmt.Fprintln(&b, "</svg>")
	return b.Bytes()
}

func text(b *bytes.Buffer, x, y int, attributes, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" %s>`, x, y, attributes)
	_ = xml.EscapeText(b, []byte(s)) // a Buffer takes all
	fmt.Fprintln(b, "</text>")
}
