package course

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

var (
	exerciseLink   = regexp.MustCompile(`^exercise/([a-z][a-z0-9]*)/([a-z][a-z0-9]*)\.go$`)
	numberedTitle  = regexp.MustCompile(`^(\d+\.\d+) (.+)$`)
	detailsOpening = regexp.MustCompile(`(?s)^\s*<details>\s*<summary>(.*?)</summary>`)
)

// read takes the chapter's title and exercises out of its README.
func (ch *Chapter) read(readme []byte) (faults []error) {
	doc := goldmark.DefaultParser().Parse(text.NewReader(readme))
	var (
		e       *Exercise // the section that is being read, if it is an exercise's
		section int       // where it starts
		title   string    // its heading
		into    *string   // what stands under this heading goes there
		since   int       // from here on
	)
	flush := func(until int) {
		if into != nil {
			*into = strings.TrimSpace(string(readme[since:until]))
		}
		into = nil
	}
	closeSection := func(until int) {
		flush(until)
		if e != nil {
			e.Lesson = strings.TrimSpace(string(readme[section:until]))
			ch.Exercises = append(ch.Exercises, e)
		}
		e = nil
	}
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			start, end, heading := lineOf(n, readme)
			switch {
			case n.Level == 1 && ch.Title == "":
				ch.Title = heading
			case n.Level == 2:
				closeSection(start)
				section, title = start, heading
			case n.Level == 3 && e != nil:
				flush(start)
				switch since = end; heading {
				case "Task":
					into = &e.Task
				case "Try it":
					into = &e.Try
				}
			}
		case *ast.HTMLBlock:
			if e == nil || n.Lines().Len() == 0 {
				continue
			}
			first := n.Lines().At(0)
			block := string(readme[first.Start:n.Lines().At(n.Lines().Len()-1).Stop])
			if detailsOpening.MatchString(block) {
				flush(first.Start)
				e.Hints = append(e.Hints, "")
				into, since = &e.Hints[len(e.Hints)-1], n.Lines().At(n.Lines().Len()-1).Stop
			} else if strings.HasPrefix(strings.TrimSpace(block), "</details>") {
				flush(first.Start)
			}
		case *ast.Paragraph:
			name, track := exerciseOf(n, readme)
			if name == "" {
				continue
			}
			if e != nil {
				faults = append(faults, fmt.Errorf("%s/README.md: section %q links two exercises: %s and %s", ch.Name, title, e.Name, name))
				continue
			}
			m := numberedTitle.FindStringSubmatch(title)
			if m == nil {
				faults = append(faults, fmt.Errorf("%s/README.md: the section of %s must be titled like `## 2.1 Take turns: round robin`, not %q", ch.Name, name, title))
				m = []string{"", "", title}
			}
			e = &Exercise{Name: name, Number: m[1], Title: m[2], Track: track, Chapter: ch}
		}
	}
	closeSection(len(readme))
	return faults
}

// lineOf is where a heading's line starts and ends, and its text.
func lineOf(h *ast.Heading, src []byte) (start, end int, heading string) {
	if h.Lines().Len() == 0 {
		return 0, 0, ""
	}
	line := h.Lines().At(0)
	start = line.Start
	for start > 0 && src[start-1] != '\n' {
		start--
	}
	return start, line.Stop, strings.TrimSpace(string(line.Value(src)))
}

// exerciseOf is the exercise that a paragraph's first link leads to, and the
// track that stands behind it.
func exerciseOf(p *ast.Paragraph, src []byte) (name, track string) {
	link, ok := p.FirstChild().(*ast.Link)
	if !ok {
		return "", ""
	}
	m := exerciseLink.FindStringSubmatch(string(link.Destination))
	if m == nil || m[1] != m[2] {
		return "", ""
	}
	rest := string(p.Lines().Value(src))
	switch {
	case strings.Contains(rest, "**core**"):
		track = "core"
	case strings.Contains(rest, "second day"):
		track = "second day"
	}
	return m[1], track
}

// LessonWithoutHints is the section up to its first hint.
func (e *Exercise) LessonWithoutHints() string {
	lesson, _, _ := strings.Cut(e.Lesson, "<details>")
	return strings.TrimSpace(lesson)
}
