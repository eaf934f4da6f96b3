package verify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"clicktocode.example/workshop/course"
)

// Limits on what a learner is told and how often.
const (
	fewestMistakes = 2
	fewestHints    = 2
	mostHints      = 3
)

// lessons checks that sections, packages, tests, mistakes and hints agree.
func (v *verifier) lessons() {
	var faults []string
	for _, err := range v.course.Faults {
		faults = append(faults, err.Error())
	}
	v.report("every README can be read", faults...)
	for _, ch := range v.chapters {
		v.report(ch.Name+": every package has its section", v.sectionless(ch)...)
	}
	for _, e := range v.exercises {
		v.report(e.Name+" has all its parts", parts(e)...)
	}
}

// sectionless lists the packages of solution/, mistakes/ and exercise/ that no section tells of.
func (v *verifier) sectionless(ch *course.Chapter) (problems []string) {
	if !v.whole(ch) {
		return nil
	}
	for i, e := range ch.Exercises {
		if want := fmt.Sprintf("%d.%d", chapterNumber(ch), i+1); e.Number != want {
			problems = append(problems, fmt.Sprintf("the section of %s is number %s and should be %s", e.Name, e.Number, want))
		}
	}
	for _, kind := range []string{"solution", "mistakes"} {
		entries, err := os.ReadDir(filepath.Join(ch.Dir, kind))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			problems = append(problems, err.Error())
		}
		for _, entry := range entries {
			if !slices.ContainsFunc(ch.Exercises, func(e *course.Exercise) bool { return e.Name == entry.Name() }) {
				problems = append(problems, fmt.Sprintf("%s/%s has no section: add one to %s/README.md that links exercise/%s/%s.go", kind, entry.Name(), ch.Name, entry.Name(), entry.Name()))
			}
		}
	}
	return problems
}

func chapterNumber(ch *course.Chapter) int {
	n := 0
	_, _ = fmt.Sscanf(ch.Name, "%d", &n)
	return n
}

func parts(e *course.Exercise) (problems []string) {
	for _, file := range []string{e.Name + ".go", e.Name + "_test.go"} {
		if _, err := os.Stat(filepath.Join(e.SolutionDir(), file)); err != nil {
			problems = append(problems, "solution/"+e.Name+"/"+file+" is not there")
		}
	}
	mistakes, err := e.Mistakes()
	problems = append(problems, problem(err)...)
	if err == nil && len(mistakes) < fewestMistakes {
		problems = append(problems, fmt.Sprintf("mistakes/%s holds %d of at least %d", e.Name, len(mistakes), fewestMistakes))
	}
	if n := len(e.Hints); n < fewestHints || n > mostHints {
		problems = append(problems, fmt.Sprintf("the section has %d hints, and should have %d to %d: <details><summary>Hint 1</summary>", n, fewestHints, mostHints))
	}
	for i, hint := range e.Hints {
		if hint == "" {
			problems = append(problems, fmt.Sprintf("hint %d is empty: leave a blank line behind <summary>", i+1))
		}
	}
	if e.Task == "" {
		problems = append(problems, "the section has no ### Task")
	}
	if e.Try == "" {
		problems = append(problems, "the section has no ### Try it")
	}
	return problems
}

var scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)

// links checks that each relative link in the clone's Markdown leads somewhere.
func (v *verifier) links() {
	var files []string
	for _, pattern := range []string{"*.md", "*/*.md", "*/*/*.md"} {
		found, _ := filepath.Glob(filepath.Join(v.course.Root, pattern)) // the pattern is sound
		files = append(files, found...)
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		return strings.Contains(filepath.ToSlash(f), "/.workshop/") || strings.Contains(filepath.ToSlash(f), "/testdata/")
	})
	var problems []string
	for _, file := range files {
		rel, _ := filepath.Rel(v.course.Root, file)
		src, err := os.ReadFile(file)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		doc := goldmark.DefaultParser().Parse(text.NewReader(src))
		_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			var target string
			switch n := n.(type) {
			case *ast.Link:
				target = string(n.Destination)
			case *ast.Image:
				target = string(n.Destination)
			}
			if entering && target != "" && !scheme.MatchString(target) {
				if why := broken(file, target); why != "" {
					problems = append(problems, fmt.Sprintf("%s: the link to %s leads nowhere: %s", filepath.ToSlash(rel), target, why))
				}
			}
			return ast.WalkContinue, nil
		})
	}
	v.report("the links in Markdown resolve", problems...)
}

// broken says what is wrong with a link in file, or nothing.
func broken(file, target string) string {
	path, anchor, _ := strings.Cut(target, "#")
	if path != "" {
		file = filepath.Join(filepath.Dir(file), filepath.FromSlash(path))
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return "there is no such file"
	case anchor == "" || info.IsDir():
		return ""
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	doc := goldmark.DefaultParser().Parse(text.NewReader(src))
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Lines().Len() > 0 && slug(string(h.Lines().Value(src))) == anchor {
			return ""
		}
	}
	return "there is no such heading"
}

var noSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// slug is the anchor that a heading gets on the web.
func slug(heading string) string {
	return strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-")
}
