package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"clicktocode.example/workshop/course"
)

// listed is what is used of `go list -json`.
type listed struct {
	ImportPath, Name, Dir              string
	GoFiles, IgnoredGoFiles            []string
	Imports, TestImports, XTestImports []string
}

func list(ctx context.Context, dir string, patterns ...string) ([]listed, error) {
	out, p := command(ctx, dir, nil, "go", append([]string{"list", "-json=ImportPath,Name,Dir,GoFiles,IgnoredGoFiles,Imports,TestImports,XTestImports"}, patterns...)...)
	if p != "" {
		return nil, errors.New(p)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, l)
	}
}

// imports checks that arrows run down: see "House rules" in CONTRIBUTING.md.
func (v *verifier) imports(ctx context.Context, ch *course.Chapter) {
	packages, err := list(ctx, v.scratchOf(ch), "./...")
	if err != nil {
		v.report(ch.Name+": arrows run down", err.Error())
		return
	}
	packages = slices.DeleteFunc(packages, func(p listed) bool { return v.place(p.ImportPath).kind == "mistaken" })
	var problems []string
	users := map[string]int{} // of a given package, among the solutions
	for _, p := range packages {
		if from := v.place(p.ImportPath); from.kind == "solution" {
			for _, to := range p.Imports {
				if v.place(to).kind == "given" {
					users[to]++
				}
			}
		}
	}
	for _, p := range packages {
		from := v.place(p.ImportPath)
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if why := v.forbidden(from, v.place(to)); why != "" && to != p.ImportPath {
				problems = append(problems, fmt.Sprintf("%s imports %s: %s", p.ImportPath, to, why))
			}
		}
		for _, to := range p.Imports {
			if users[p.ImportPath] > 1 && v.place(to).kind == "solution" {
				problems = append(problems, fmt.Sprintf("%s imports %s: solutions share it, so it states a contract, and a contract imports no solution", p.ImportPath, to))
			}
		}
	}
	v.report(ch.Name+": arrows run down", problems...)
	v.report(ch.Name+": packages are named and described", v.described(ctx, packages)...)
}

// place is where in the house an import path stands.
type place struct {
	chapter int    // from 1; 0: not in a chapter
	kind    string // "given", "solution", "exercise", "mistaken", "main", "tool", or "library"
	name    string
}

func (v *verifier) place(importPath string) place {
	for i, ch := range v.course.Chapters {
		rel, inside := strings.CutPrefix(importPath+"/", ch.Module+"/")
		if !inside {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(rel, "/"), "/")
		switch parts[0] {
		case "":
			return place{i + 1, "main", ""}
		case "solution", "exercise", "mistaken":
			return place{i + 1, parts[0], parts[len(parts)-1]}
		}
		return place{i + 1, "given", parts[0]}
	}
	if strings.HasPrefix(importPath+"/", path.Dir(v.course.Chapters[0].Module)+"/workshop/") {
		return place{0, "tool", ""}
	}
	return place{0, "library", ""}
}

// forbidden says why an arrow must not be, or nothing.
func (v *verifier) forbidden(from, to place) string {
	switch {
	case to.kind == "exercise" && !(from.kind == "exercise" && from.name == to.name):
		return "exercise/ is the learner's, and nothing imports it"
	case from.kind == "tool" && to.chapter > 0:
		return "the tool imports no chapter: it runs them"
	case from.chapter > 0 && to.kind == "tool":
		return "a chapter does not need the tool"
	case to.chapter > from.chapter && from.chapter > 0:
		return "a later chapter"
	}
	return ""
}

// described checks names and package comments.
func (v *verifier) described(ctx context.Context, packages []listed) (problems []string) {
	std, p := command(ctx, v.course.Root, []string{"GOWORK=off"}, "go", "list", "std")
	if p != "" {
		return []string{p}
	}
	standard := map[string]bool{}
	for _, pkg := range strings.Fields(std) {
		if !strings.Contains(pkg, "internal/") && !strings.HasPrefix(pkg, "vendor/") {
			standard[path.Base(pkg)] = true
		}
	}
	for _, p := range packages {
		if v.place(p.ImportPath).kind == "exercise" {
			continue // as its solution
		}
		if p.Name != "main" {
			if path.Base(p.ImportPath) != p.Name {
				problems = append(problems, fmt.Sprintf("%s is package %s: an import path ends in the package's name", p.ImportPath, p.Name))
			}
			if standard[p.Name] {
				problems = append(problems, fmt.Sprintf("%s has the name of a standard package: choose another", p.ImportPath))
			}
		}
		comments := 0
		for _, file := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				problems = append(problems, err.Error())
			} else if f.Doc != nil && !onlyDirectives(f.Doc) {
				comments++
			}
		}
		if comments != 1 && len(p.GoFiles) > 0 {
			problems = append(problems, fmt.Sprintf("%s has %d package comments, and should have one", p.ImportPath, comments))
		}
	}
	return problems
}

func onlyDirectives(doc *ast.CommentGroup) bool { return strings.TrimSpace(doc.Text()) == "" }

// tool checks the tool's own module.
func (v *verifier) tool(ctx context.Context) {
	dir := filepath.Join(v.course.Root, "workshop")
	packages, err := list(ctx, dir, "./...")
	if err != nil {
		v.note("workshop/ was not checked: %s", strings.SplitN(err.Error(), "\n", 2)[0])
		return
	}
	var problems []string
	for _, p := range packages {
		for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if why := v.forbidden(v.place(p.ImportPath), v.place(to)); why != "" {
				problems = append(problems, fmt.Sprintf("%s imports %s: %s", p.ImportPath, to, why))
			}
		}
	}
	v.report("workshop: arrows run down", problems...)
	v.report("workshop: packages are named and described", v.described(ctx, packages)...)
	v.module(ctx, "workshop", dir)
}

// sums checks that go.work.sum is as `go doc` leaves it. If it were not, looking
// something up would change a file that git keeps, and the next `git pull` could be
// refused.
func (v *verifier) sums(ctx context.Context) {
	kept, err := os.ReadFile(filepath.Join(v.course.Root, "go.work.sum"))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	const what = "go.work.sum is as looking something up leaves it"
	dirs, p := command(ctx, v.course.Root, nil, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil || p != "" {
		v.report(what, append(problem(err), nonEmpty(p)...)...)
		return
	}
	work := "go 1.26.0\n"
	for _, dir := range strings.Split(strings.TrimSpace(dirs), "\n") {
		work += "use " + strconv.Quote(dir) + "\n"
	}
	aside, err := os.MkdirTemp(v.scratch, "work-")
	if err == nil {
		defer os.RemoveAll(aside)
		err = course.Write(aside, map[string][]byte{"go.work": []byte(work), "go.work.sum": kept})
	}
	if err != nil {
		v.report(what, problem(err)...)
		return
	}
	// As go doc does, this asks for the go.mod of each module that any of ours asks for.
	if _, p := command(ctx, v.course.Root, []string{"GOWORK=" + filepath.Join(aside, "go.work")}, "go", "list", "-m", "all"); p != "" {
		if v.options.RequireRace {
			v.report(what, p)
		} else {
			v.note("%s: not checked: %s", what, strings.SplitN(p, "\n", 3)[1])
		}
		return
	}
	var problems []string
	if left, err := os.ReadFile(filepath.Join(aside, "go.work.sum")); err != nil || !bytes.Equal(left, kept) {
		problems = append(problem(err), "run `go list -m all` in the clone's first folder, and commit go.work.sum")
	}
	v.report(what, problems...)
}
