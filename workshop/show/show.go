// Package show sets text for a terminal: lessons, verdicts, lists. It paints
// nothing itself.
package show

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	glamour "charm.land/glamour/v2/ansi"
	"charm.land/glamour/v2/styles"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"

	"clicktocode.example/workshop/check"
	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/gotest"
)

// Page is what text is set for.
type Page struct {
	Color bool
	Width int // in columns; 0 means 80
}

// Color reports whether the user wants colours where there is a terminal:
// see no-color.org.
func Color() bool { return os.Getenv("NO_COLOR") == "" }

func (p Page) width() int {
	if p.Width <= 0 {
		return 80
	}
	return p.Width
}

var (
	good  = lipgloss.NewStyle().Foreground(lipgloss.Green).Bold(true)
	bad   = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	faint = lipgloss.NewStyle().Faint(true)
	bold  = lipgloss.NewStyle().Bold(true)
	link  = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
)

// paint applies a style, if there is colour.
func (p Page) paint(style lipgloss.Style, text string) string {
	if !p.Color {
		return text
	}
	return style.Render(text)
}

// Good, Bad, Faint, Bold and Link mark a text as what their names say.

func (p Page) Good(text string) string  { return p.paint(good, text) }
func (p Page) Bad(text string) string   { return p.paint(bad, text) }
func (p Page) Faint(text string) string { return p.paint(faint, text) }
func (p Page) Bold(text string) string  { return p.paint(bold, text) }
func (p Page) Link(text string) string  { return p.paint(link, text) }

var localLink = regexp.MustCompile(`\[([^\]]+)\]\((?:#|\.|[A-Za-z0-9_-]+[/.])[^):]*\)`)

// Markdown sets a piece of a lesson. What cannot be set is shown as it is.
func (p Page) Markdown(source string) string {
	style := styles.NoTTYStyleConfig
	if p.Color {
		style = colourful()
	}
	// As glamour does it, but for its turning every www.shop.test into a link:
	// here, that is the name on the wire.
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table),
		goldmark.WithRenderer(renderer.NewRenderer(renderer.WithNodeRenderers(
			util.Prioritized(glamour.NewRenderer(glamour.Options{Styles: style}), 1000)))),
	)
	var set strings.Builder
	// A link within the clone is no use in a terminal; its text is.
	if err := md.Convert([]byte(localLink.ReplaceAllString(source, "$1")), &set); err != nil {
		return source
	}
	out := set.String()
	if !p.Color {
		out = ansi.Strip(out)
	}
	var lines []string
	for _, line := range strings.Split(strings.Trim(out, "\n"), "\n") {
		lines = append(lines, p.fold(strings.TrimRight(line, " "))...)
	}
	return strings.Join(lines, "\n")
}

// colourful is glamour's dark style with the terminal's own colours for text
// and code, so that it can be read on a light ground as well.
func colourful() glamour.StyleConfig {
	style := styles.DarkStyleConfig
	style.Document.Color = nil
	style.Code.Color, style.Code.BackgroundColor, style.Code.Prefix, style.Code.Suffix = &code, nil, "", ""
	style.CodeBlock.Color, style.CodeBlock.Chroma = &code, nil
	return style
}

var code = "6" // cyan, in the terminal's own shade

// fold breaks a line of set text at spaces, never at a hyphen, so that a
// command can be pasted. What is set in by four columns or more is code, and
// stays whole.
func (p Page) fold(line string) []string {
	plain := ansi.Strip(line)
	indent := len(plain) - len(strings.TrimLeft(plain, " "))
	if indent >= 4 {
		return []string{line}
	}
	margin := strings.Repeat(" ", indent)
	hang := margin
	if m := listItem.FindString(plain); m != "" {
		hang = strings.Repeat(" ", lipgloss.Width(m))
	}
	return breakLine(line, margin, hang, min(p.width(), 100)-indent)
}

var listItem = regexp.MustCompile(`^ *(?:•|\d+\.) `)

// wrap breaks text at spaces, and puts a margin before it.
func (p Page) wrap(text string) string {
	const margin = "  "
	var out []string
	for _, line := range strings.Split(text, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		out = append(out, breakLine(line, margin+indent, margin+indent, p.width())...)
	}
	return strings.Join(out, "\n")
}

// breakLine sets the words of a line, which may be styled, in rows of at most
// width columns; first and then stand before them. A word that is wider, a path
// say, stays whole.
func breakLine(line, first, then string, width int) []string {
	var rows []string
	row, empty := first, true
	for _, word := range strings.Fields(line) {
		if !empty && lipgloss.Width(row)+1+lipgloss.Width(word) > width {
			rows = append(rows, row)
			row, empty = then, true
		}
		if !empty {
			row += " "
		}
		row, empty = row+word, false
	}
	return append(rows, strings.TrimRight(row, " \t"))
}

// Head is an exercise's title line, and where to write.
func (p Page) Head(e *course.Exercise) string {
	title := p.Bold(e.Number + "  " + e.Title)
	if e.Track != "" {
		title += "  " + p.Faint("("+e.Track+")")
	}
	return title + "\n" + p.Link(e.Position())
}

// detailLines is how much of the compared values is shown with a verdict.
const detailLines = 12

// Verdict is the first thing that is wrong, or that nothing is.
func (p Page) Verdict(e *course.Exercise, v gotest.Verdict) string {
	var b strings.Builder
	switch v.Kind {
	case gotest.Solved:
		return p.Good("✓ "+e.Name+" is solved") + "\n"
	case gotest.NotChecked:
		fmt.Fprintln(&b, p.Bold("– "+e.Name+" is not checked: "+v.Test))
	case gotest.Failed:
		fmt.Fprintln(&b, p.Bad("✗ "+v.Test))
	default:
		fmt.Fprint(&b, p.Bad("✗ "+e.Name+" "+string(v.Kind)))
		if v.Test != "" {
			fmt.Fprint(&b, p.Bad(" in "+v.Test))
		}
		fmt.Fprintln(&b)
	}
	if v.At != "" {
		fmt.Fprintln(&b, "  "+p.Link(v.At))
	}
	fmt.Fprintln(&b)
	fmt.Fprintln(&b, p.wrap(v.Says))
	if v.Detail != "" {
		lines := strings.Split(v.Detail, "\n")
		if len(lines) > detailLines {
			lines = append(lines[:detailLines], fmt.Sprintf("… and %d lines more", len(lines)-detailLines))
		}
		fmt.Fprintln(&b)
		fmt.Fprintln(&b, p.Faint(p.wrap(strings.Join(lines, "\n"))))
	}
	if v.LooksLike != nil {
		fmt.Fprintln(&b)
		fmt.Fprintln(&b, p.Bold("  It looks like a mistake that many make; yours may be another:"))
		fmt.Fprintln(&b, p.wrap(v.LooksLike.Why))
	}
	return b.String()
}

// List is all exercises with how they stand. cursor marks one of them; nil marks none.
func (p Page) List(states []check.State, cursor *course.Exercise) string {
	var b strings.Builder
	var ch *course.Chapter
	for _, s := range states {
		if e := s.Exercise; e.Chapter != ch {
			if ch != nil {
				fmt.Fprintln(&b)
			}
			ch = e.Chapter
			fmt.Fprintln(&b, p.Bold(ch.Title))
		}
		at := "  "
		if s.Exercise == cursor {
			at = "> "
		}
		fmt.Fprintf(&b, "%s%s %-4s %-14s %s%s\n", at, p.mark(s), s.Exercise.Number, s.Exercise.Name, s.Exercise.Title, p.Faint(track(s)))
	}
	return b.String()
}

func track(s check.State) string {
	text := ""
	if s.Exercise.Track != "" {
		text += "  " + s.Exercise.Track
	}
	if s.Touched && !s.Solved() {
		text += "  (" + string(s.Verdict.Kind) + ")"
	}
	return text
}

func (p Page) mark(s check.State) string {
	switch {
	case s.Solved():
		return p.Good("✓")
	case s.Touched:
		return p.Bad("✗")
	}
	return p.Faint("·")
}
