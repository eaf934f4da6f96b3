// Package derive makes an exercise out of its solution. The solution is the
// only thing written by hand; comments in it, called directives, mark what the
// learner is to write:
//
//	//workshop:begin STATEMENTS   from here on, the lines are taken out, and
//	                              STATEMENTS (none, or a few behind ";") stand there
//	//workshop:todo TEXT          what to do instead, a line of it
//	//workshop:end                until here
//	//workshop:omit               last in a doc comment: the declaration goes too
//	//workshop:guard TEST         in a test file: this leaf may pass unsolved;
//	                              TEST/... means all leaves below
//
// Lines are taken out as lines, and go/ast says where they are, so that what
// stays is the author's text to the letter.
package derive

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Starter is the solution file src with the marked regions taken out. The
// exercise's name goes into its TODOs; file is for messages. A file without a
// directive comes back as it is.
func Starter(exercise, file string, src []byte) ([]byte, error) {
	s, err := parse(file, src)
	if err != nil {
		return nil, err
	}
	regions, err := s.regions()
	if err != nil {
		return nil, err
	}
	// What to insert before a line, and which lines go, numbered from 1.
	insert, gone := map[int][]string{}, map[int]bool{}
	for _, r := range regions {
		for n := r.begin; n <= r.end; n++ {
			gone[n] = true
		}
		insert[r.begin] = todo(exercise, r.todo)
		if r.stub != "" {
			insert[r.begin] = append(insert[r.begin], r.stub)
		}
	}
	for _, d := range s.omitted() {
		for n := d.first; n <= d.last; n++ {
			gone[n] = true
		}
	}
	var lines []string
	for i, line := range s.lines {
		lines = append(lines, insert[i+1]...)
		if !gone[i+1] {
			lines = append(lines, line)
		}
	}
	out, dropped, err := withoutUnusedImports(file, src, []byte(strings.Join(lines, "\n")))
	if err != nil {
		return nil, err
	}
	if len(dropped) > 0 && len(regions) > 0 {
		out = nameImports(exercise, out, dropped)
	}
	return formatted(file, out)
}

// Reference is the solution file src without its directives.
func Reference(file string, src []byte) ([]byte, error) {
	s, err := parse(file, src)
	if err != nil {
		return nil, err
	}
	if _, err := s.regions(); err != nil {
		return nil, err
	}
	var lines []string
	for i, line := range s.lines {
		if _, _, is := directive(line); is {
			continue
		}
		// gofmt keeps a bare "//" between a doc comment's text and its directives.
		if strings.TrimSpace(line) == "//" && i+1 < len(s.lines) {
			if _, _, is := directive(s.lines[i+1]); is {
				continue
			}
		}
		lines = append(lines, line)
	}
	return formatted(file, []byte(strings.Join(lines, "\n")))
}

// Retarget is the test file src with the import of one package pointed at another.
func Retarget(file string, src []byte, from, to string) ([]byte, error) {
	s, err := parse(file, src)
	if err != nil {
		return nil, err
	}
	for _, spec := range s.ast.Imports {
		if spec.Path.Value == strconv.Quote(from) {
			n := s.line(spec.Path.Pos())
			s.lines[n-1] = strings.Replace(s.lines[n-1], spec.Path.Value, strconv.Quote(to), 1)
		}
	}
	return formatted(file, []byte(strings.Join(s.lines, "\n")))
}

// Guards are the tests that a test file declares to pass unsolved: names of
// leaves, or of what stands above them behind "/...".
func Guards(file string, src []byte) ([]string, error) {
	s, err := parse(file, src)
	if err != nil {
		return nil, err
	}
	var guards []string
	for i, line := range s.lines {
		verb, arg, is := directive(line)
		switch {
		case !is:
		case verb != "guard" || arg == "":
			return nil, fmt.Errorf("%s:%d: a test file takes //workshop:guard TEST, and no other directive", file, i+1)
		default:
			guards = append(guards, arg)
		}
	}
	return guards, nil
}

// source is one parsed file.
type source struct {
	file  string
	fset  *token.FileSet
	ast   *ast.File
	lines []string
}

func parse(file string, src []byte) (*source, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{file, fset, f, strings.Split(string(src), "\n")}, nil
}

func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

// directiveForm is a comment alone on its line. What it looks like in a string
// or behind code does not count.
var directiveForm = regexp.MustCompile(`^\s*//workshop:([a-z-]+)(?: (.*))?$`)

func directive(line string) (verb, arg string, is bool) {
	m := directiveForm.FindStringSubmatch(line)
	if m == nil {
		return "", "", false
	}
	return m[1], strings.TrimSpace(m[2]), true
}

// region is what stands between begin and end, both included.
type region struct {
	begin, end int // lines, from 1
	stub       string
	todo       []string
}

func (s *source) regions() ([]region, error) {
	var all []region
	open := false
	for i, line := range s.lines {
		verb, arg, is := directive(line)
		if !is {
			continue
		}
		wrong := func(why string) error { return fmt.Errorf("%s:%d: //workshop:%s %s", s.file, i+1, verb, why) }
		switch verb {
		case "begin":
			if open {
				return nil, wrong("stands inside a region: close that one with //workshop:end first")
			}
			open = true
			all = append(all, region{begin: i + 1, stub: arg})
		case "todo":
			if !open {
				return nil, wrong("stands outside of a region: put it behind //workshop:begin")
			}
			r := &all[len(all)-1]
			r.todo = append(r.todo, arg)
		case "end":
			if !open {
				return nil, wrong("closes nothing: there is no //workshop:begin before it")
			}
			open = false
			r := &all[len(all)-1]
			if r.end = i + 1; len(r.todo) == 0 {
				return nil, wrong("closes a region that tells the learner nothing: give it a //workshop:todo")
			}
		case "omit":
		default:
			return nil, wrong("is unknown: a solution takes begin, todo, end and omit")
		}
	}
	if open {
		return nil, fmt.Errorf("%s:%d: //workshop:begin is never closed: add //workshop:end", s.file, all[len(all)-1].begin)
	}
	return all, nil
}

// span is a run of whole lines, from 1, both ends included.
type span struct{ first, last int }

// omitted finds the declarations whose doc comment ends in //workshop:omit.
func (s *source) omitted() []span {
	var spans []span
	for _, decl := range s.ast.Decls {
		doc := docOf(decl)
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if verb, _, is := directive(c.Text); is && verb == "omit" {
				spans = append(spans, s.span(decl))
			}
		}
	}
	return spans
}

// span covers decl with its doc comment.
func (s *source) span(decl ast.Decl) span {
	first := decl.Pos()
	if doc := docOf(decl); doc != nil {
		first = doc.Pos()
	}
	return span{s.line(first), s.line(decl.End())}
}

func docOf(decl ast.Decl) *ast.CommentGroup {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}

func todo(exercise string, text []string) []string {
	var lines []string
	for i, line := range text {
		if i == 0 {
			line = "TODO(" + exercise + "): " + line
		}
		lines = append(lines, "// "+line)
	}
	return lines
}

// withoutUnusedImports drops the imports that before used and after does not.
// One whose name cannot be told from its path stays.
func withoutUnusedImports(file string, before, after []byte) (out []byte, dropped []string, err error) {
	was, err := parse(file, before)
	if err != nil {
		return nil, nil, err
	}
	is, err := parse(file, after)
	if err != nil {
		return nil, nil, fmt.Errorf("what is left without the marked regions does not parse: %w", err)
	}
	used, stillUsed := qualifiers(was.ast), qualifiers(is.ast)
	gone := map[int]bool{}
	kept := 0
	for _, spec := range is.ast.Imports {
		name := importName(spec)
		if !used[name] || stillUsed[name] {
			kept++
			continue
		}
		text, _ := strconv.Unquote(spec.Path.Value)
		dropped = append(dropped, text)
		for n := is.line(spec.Pos()); n <= is.line(spec.End()); n++ {
			gone[n] = true
		}
	}
	if kept == 0 { // and the parentheses with them
		for _, decl := range is.ast.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.IMPORT {
				for n := is.line(d.Pos()); n <= is.line(d.End()); n++ {
					gone[n] = true
				}
			}
		}
	}
	var lines []string
	for i, line := range is.lines {
		if !gone[i+1] {
			lines = append(lines, line)
		}
	}
	return []byte(strings.Join(lines, "\n")), dropped, nil
}

// qualifiers are the x of all x.Sel in f: the names of used imports are among them.
func qualifiers(f *ast.File) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok {
				names[id.Name] = true
			}
		}
		return true
	})
	return names
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	p, _ := strconv.Unquote(spec.Path.Value)
	if majorVersion.MatchString(path.Base(p)) {
		p = path.Dir(p)
	}
	return path.Base(p)
}

// nameImports adds the dropped imports to the first TODO.
func nameImports(exercise string, src []byte, dropped []string) []byte {
	slices.Sort(dropped)
	var quoted []string
	for _, p := range dropped {
		quoted = append(quoted, strconv.Quote(p))
	}
	note := "// The reference imports, besides what stands above: " + strings.Join(quoted, ", ") + "."
	lines := strings.Split(string(src), "\n")
	for i, line := range lines {
		if !strings.Contains(line, "// TODO("+exercise+"): ") {
			continue
		}
		for i++; i < len(lines) && strings.HasPrefix(lines[i], "// "); i++ { // its other lines, not yet indented
		}
		return []byte(strings.Join(slices.Insert(lines, i, note), "\n"))
	}
	return src
}

func formatted(file string, src []byte) ([]byte, error) {
	out, err := format.Source(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return append(bytes.TrimRight(out, "\n"), '\n'), nil
}
