package derive

import (
	"fmt"
	"go/ast"
	"go/token"
	"path/filepath"
	"strings"
)

// Mistake is a tempting wrong answer: declarations that replace the
// solution's, and what the tests must say about them.
type Mistake struct {
	Name     string   // of its file, without ".go"
	Why      string   // what goes wrong, for a learner to read
	CaughtBy string   // the leaf test that must fail
	Says     []string // words that the test's output must hold

	file string
	src  *source
}

// ParseMistake reads a file under mistakes/.
func ParseMistake(file string, text []byte) (*Mistake, error) {
	src, err := parse(file, text)
	if err != nil {
		return nil, err
	}
	m := &Mistake{Name: strings.TrimSuffix(filepath.Base(file), ".go"), file: file, src: src}
	if src.ast.Doc != nil {
		m.Why = strings.TrimSpace(strings.ReplaceAll(src.ast.Doc.Text(), "\n", " "))
	}
	for i, line := range src.lines {
		verb, arg, is := directive(line)
		switch {
		case !is:
		case verb == "caught-by" && m.CaughtBy == "":
			m.CaughtBy = arg
		case verb == "says" && arg != "":
			m.Says = append(m.Says, arg)
		default:
			return nil, fmt.Errorf("%s:%d: a mistake takes one //workshop:caught-by TEST and //workshop:says WORDS, and no other directive", file, i+1)
		}
	}
	switch {
	case src.lines[0] != "//go:build ignore":
		return nil, fmt.Errorf("%s:1: the first line must be //go:build ignore: a mistake is no part of any build", file)
	case m.Why == "":
		return nil, fmt.Errorf("%s: the package comment is missing: it tells a learner what goes wrong", file)
	case m.CaughtBy == "":
		return nil, fmt.Errorf("%s: //workshop:caught-by TEST is missing", file)
	case len(m.Says) == 0:
		return nil, fmt.Errorf("%s: //workshop:says WORDS is missing", file)
	}
	return m, nil
}

// Apply is the package with the mistake in it: the solution's files, by name,
// without the declarations that the mistake replaces, and the mistake's own.
func (m *Mistake) Apply(solution map[string][]byte) (map[string][]byte, error) {
	replaced := map[string]bool{}
	for _, decl := range m.src.ast.Decls {
		for _, name := range declared(decl) {
			replaced[name] = true
		}
	}
	out := map[string][]byte{}
	found := 0
	for file, text := range solution {
		s, err := parse(file, text)
		if err != nil {
			return nil, err
		}
		gone := map[int]bool{}
		for _, decl := range s.ast.Decls {
			names, n := declared(decl), 0
			for _, name := range names {
				if replaced[name] {
					n++
				}
			}
			if n == 0 {
				continue
			}
			if found += n; n < len(names) {
				return nil, fmt.Errorf("%s: it replaces %d of the names that %s declares together (%s): replace all of them",
					m.file, n, file, strings.Join(names, ", "))
			}
			for sp, l := s.span(decl), s.span(decl).first; l <= sp.last; l++ {
				gone[l] = true
			}
		}
		var lines []string
		for i, line := range s.lines {
			if !gone[i+1] {
				lines = append(lines, line)
			}
		}
		rest, _, err := withoutUnusedImports(file, text, []byte(strings.Join(lines, "\n")))
		if err != nil {
			return nil, err
		}
		if out[file], err = formatted(file, rest); err != nil {
			return nil, err
		}
	}
	if found == 0 {
		return nil, fmt.Errorf("%s: it replaces nothing: no declaration of the solution has one of its names", m.file)
	}
	// Without its first line, so that it is built; without its comment, since the package has one.
	body := m.src.lines[m.src.line(m.src.ast.Package)-1:]
	text, err := formatted(m.file, []byte(strings.Join(body, "\n")))
	if err != nil {
		return nil, err
	}
	out["mistake_"+m.Name+"_.go"] = text // the last "_" keeps a name like "linux" from being a build constraint
	return out, nil
}

// declared are the names that decl declares, a method's with its receiver's type.
// Imports declare nothing here.
func declared(decl ast.Decl) []string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || len(d.Recv.List) == 0 {
			return []string{d.Name.Name}
		}
		t := d.Recv.List[0].Type
		for {
			switch x := t.(type) {
			case *ast.StarExpr:
				t = x.X
				continue
			case *ast.IndexExpr:
				t = x.X
				continue
			case *ast.IndexListExpr:
				t = x.X
				continue
			case *ast.Ident:
				return []string{x.Name + "." + d.Name.Name}
			}
			return nil
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT {
			return nil
		}
		var names []string
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, id := range s.Names {
					names = append(names, id.Name)
				}
			}
		}
		return names
	}
	return nil
}

// In reports whether output, a failed test's, holds all the words of the mistake.
// Where a line was broken does not matter.
func (m *Mistake) In(output string) bool {
	flat := strings.Join(strings.Fields(output), " ")
	for _, words := range m.Says {
		if !strings.Contains(flat, strings.Join(strings.Fields(words), " ")) {
			return false
		}
	}
	return true
}
