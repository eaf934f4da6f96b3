// Package course knows what the workshop consists of. Nothing lists the
// exercises but the chapters' READMEs: a section that links
// exercise/NAME/NAME.go is exercise NAME.
package course

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"clicktocode.example/workshop/derive"
)

// Course is the clone that the tool was started in.
type Course struct {
	Root     string // absolute
	Chapters []*Chapter
	// Faults are what is wrong with the READMEs. The exercises that they
	// concern may be missing; the others are there.
	Faults []error
}

// Chapter is one numbered folder, a Go module.
type Chapter struct {
	Name   string // of its folder: "01-dns-tcp-tls"
	Dir    string // absolute
	Module string // its module's path
	Title  string // the README's first heading
	README string
	// Exercises in the order of the README's sections.
	Exercises []*Exercise
}

// Exercise is one section of a README and the package that belongs to it.
type Exercise struct {
	Name    string // "roundrobin": unique, and the package's name
	Number  string // "2.1"; may change
	Title   string // "Take turns: round robin"
	Track   string // "core", "second day", or empty
	Lesson  string // the whole section, as Markdown
	Task    string // what stands under "### Task"
	Try     string // what stands under "### Try it"
	Hints   []string
	Chapter *Chapter
}

var chapterName = regexp.MustCompile(`^\d\d-[a-z][a-z-]*$`)

// Open finds the clone that holds dir, and reads its chapters.
func Open(dir string) (*Course, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("course: %w", err)
	}
	// As `go list` and stack traces name it.
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for root := dir; ; root = filepath.Dir(root) {
		chapters, err := chapterDirs(root)
		if err != nil {
			return nil, err
		}
		if len(chapters) > 0 {
			return open(root, chapters)
		}
		if root == filepath.Dir(root) {
			return nil, fmt.Errorf("%s is not inside the workshop: go to the folder that you cloned (the one with go.work in it), and try again", dir)
		}
	}
}

func chapterDirs(root string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(root, "go.work")); err != nil {
		return nil, nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("course: %w", err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() || !chapterName.MatchString(e.Name()) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, e.Name(), "go.mod")); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil // ReadDir sorts
}

func open(root string, names []string) (*Course, error) {
	c := &Course{Root: root}
	for _, name := range names {
		ch := &Chapter{Name: name, Dir: filepath.Join(root, name)}
		mod, err := os.ReadFile(filepath.Join(ch.Dir, "go.mod"))
		if err != nil {
			return nil, fmt.Errorf("course: %w", err)
		}
		ch.Module = modfile.ModulePath(mod)
		readme, err := os.ReadFile(filepath.Join(ch.Dir, "README.md"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("course: %w", err)
		}
		ch.README = string(readme)
		c.Faults = append(c.Faults, ch.read(readme)...)
		c.Chapters = append(c.Chapters, ch)
	}
	seen := map[string]string{}
	for _, ch := range c.Chapters {
		ch.Exercises = slices.DeleteFunc(ch.Exercises, func(e *Exercise) bool {
			if other, twice := seen[e.Name]; twice {
				c.Faults = append(c.Faults, fmt.Errorf("%s/README.md: exercise %s stands in %s too: a name is an identity, choose another", ch.Name, e.Name, other))
				return true
			}
			seen[e.Name] = ch.Name
			if _, err := os.Stat(e.SolutionDir()); err != nil {
				c.Faults = append(c.Faults, fmt.Errorf("%s/README.md: section %q links exercise/%s/%s.go, but there is no %s/solution/%s: add the package, or mend the link",
					ch.Name, e.Title, e.Name, e.Name, ch.Name, e.Name))
				return true
			}
			return false
		})
	}
	return c, nil
}

// Exercises are those of all chapters, in order.
func (c *Course) Exercises() []*Exercise {
	var all []*Exercise
	for _, ch := range c.Chapters {
		all = append(all, ch.Exercises...)
	}
	return all
}

// Exercise finds one by its name or its number. The error suggests the nearest.
func (c *Course) Exercise(name string) (*Exercise, error) {
	var names []string
	for _, e := range c.Exercises() {
		if e.Name == name || e.Number == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return nil, fmt.Errorf("there is no exercise %q%s", name, suggest(name, names))
}

// Chapter finds one by its folder's name, its number ("2", "02") or another
// beginning of the name; when name is empty, the last chapter that has a stack.
func (c *Course) Chapter(name string) (*Chapter, error) {
	name = strings.TrimSuffix(filepath.ToSlash(name), "/")
	if name == "" {
		for _, ch := range slices.Backward(c.Chapters) {
			if _, err := os.Stat(filepath.Join(ch.Dir, "main.go")); err == nil {
				return ch, nil
			}
		}
		return nil, errors.New("no chapter has a stack: a main.go is missing")
	}
	padded := name
	if len(name) == 1 {
		padded = "0" + name
	}
	var names []string
	for _, ch := range c.Chapters {
		if strings.HasPrefix(ch.Name, padded) {
			return ch, nil
		}
		names = append(names, ch.Name)
	}
	return nil, fmt.Errorf("there is no chapter %q: there is %s", name, strings.Join(names, ", "))
}

// At is the exercise whose files dir holds, or nil.
func (c *Course) At(dir string) *Exercise {
	for _, e := range c.Exercises() {
		if e.Dir() == dir || e.SolutionDir() == dir {
			return e
		}
	}
	return nil
}

// suggest is ": did you mean X?" if a name is near enough, or where to look.
func suggest(name string, names []string) string {
	best, distance := "", len(name)/2+1
	for _, n := range names {
		if strings.HasPrefix(n, name) && name != "" {
			return fmt.Sprintf(": did you mean %s?", n)
		}
		if d := levenshtein(name, n); d < distance {
			best, distance = n, d
		}
	}
	if best == "" {
		return ": `go run ./workshop progress` lists them all"
	}
	return fmt.Sprintf(": did you mean %s?", best)
}

// Suggest is the end of a message about an unknown name: the nearest of the
// known ones, or all of them.
func Suggest(name string, known []string) string {
	if s := suggest(name, known); strings.HasPrefix(s, ": did") {
		return s
	}
	return ": there is " + strings.Join(known, ", ")
}

// levenshtein is how many letters must be added, dropped or changed.
func levenshtein(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(last+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Dir is the learner's folder, absolute.
func (e *Exercise) Dir() string { return filepath.Join(e.Chapter.Dir, "exercise", e.Name) }

// SolutionDir is the reference's folder, absolute.
func (e *Exercise) SolutionDir() string { return filepath.Join(e.Chapter.Dir, "solution", e.Name) }

// MistakesDir is the folder of the known mistakes, absolute.
func (e *Exercise) MistakesDir() string { return filepath.Join(e.Chapter.Dir, "mistakes", e.Name) }

// File is the learner's main file, relative to the root, with slashes.
func (e *Exercise) File() string {
	return e.Chapter.Name + "/exercise/" + e.Name + "/" + e.Name + ".go"
}

// Package is the import path of the learner's package.
func (e *Exercise) Package() string { return e.Chapter.Module + "/exercise/" + e.Name }

// SolutionPackage is the import path of the reference.
func (e *Exercise) SolutionPackage() string { return e.Chapter.Module + "/solution/" + e.Name }

// Position is where to write in the learner's file, as "path:line": the first
// TODO, or, once that is gone, the function that it stood in.
func (e *Exercise) Position() string {
	name := e.Name + ".go"
	text, _ := os.ReadFile(filepath.Join(e.Dir(), name))
	mine := strings.Split(string(text), "\n")
	if at := e.todo(mine); at >= 0 {
		return fmt.Sprintf("%s:%d", e.File(), at+1)
	}
	if files, err := e.Starter(); err == nil {
		starter := strings.Split(string(files[name]), "\n")
		for at := e.todo(starter); at >= 0; at-- {
			// "func (c *Cache) Lookup(": parameters may have got other names.
			if m := funcHead.FindString(starter[at]); m != "" {
				if line := slices.IndexFunc(mine, func(l string) bool { return strings.HasPrefix(l, m) }); line >= 0 {
					return fmt.Sprintf("%s:%d", e.File(), line+1)
				}
				break
			}
		}
	}
	return e.File() + ":1"
}

var funcHead = regexp.MustCompile(`^func (\([^)]*\) )?\w+`)

// todo is the index of the first line with a TODO of the exercise, or -1.
func (e *Exercise) todo(lines []string) int {
	return slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "TODO("+e.Name+")") })
}

// Files are the regular files below dir, by slash-separated name. A dir that
// does not exist has none.
func Files(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = text
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return files, nil
	}
	return files, err
}

// Starter is the exercise as a learner first finds it, derived from the solution.
func (e *Exercise) Starter() (map[string][]byte, error) { return e.derive(derive.Starter) }

// Reference is the solution without its directives, as files of the exercise.
func (e *Exercise) Reference() (map[string][]byte, error) {
	return e.derive(func(_, file string, src []byte) ([]byte, error) { return derive.Reference(file, src) })
}

func (e *Exercise) derive(source func(exercise, file string, src []byte) ([]byte, error)) (map[string][]byte, error) {
	files, err := Files(e.SolutionDir())
	if err != nil {
		return nil, fmt.Errorf("course: %w", err)
	}
	for name, text := range files {
		shown := e.Chapter.Name + "/solution/" + e.Name + "/" + name
		switch {
		case strings.HasSuffix(name, "_test.go"):
			files[name], err = derive.Retarget(shown, text, e.SolutionPackage(), e.Package())
		case strings.HasSuffix(name, ".go"):
			files[name], err = source(e.Name, shown, text)
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Mistakes are the exercise's known mistakes, by name.
func (e *Exercise) Mistakes() ([]*derive.Mistake, error) {
	files, err := Files(e.MistakesDir())
	if err != nil {
		return nil, fmt.Errorf("course: %w", err)
	}
	var all []*derive.Mistake
	var faults []error
	for _, name := range sorted(files) {
		m, err := derive.ParseMistake(e.Chapter.Name+"/mistakes/"+e.Name+"/"+name, files[name])
		if err != nil {
			faults = append(faults, err)
			continue
		}
		all = append(all, m)
	}
	return all, errors.Join(faults...)
}

func sorted(files map[string][]byte) []string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Diff compares the learner's files, tests aside, with the reference. unified
// makes the text for one file.
func (e *Exercise) Diff(unified func(oldLabel, newLabel, old, new string) string) (string, error) {
	reference, err := e.Reference()
	if err != nil {
		return "", err
	}
	mine, err := Files(e.Dir())
	if err != nil {
		return "", err
	}
	names := sorted(reference)
	for _, name := range sorted(mine) {
		if _, both := reference[name]; !both {
			names = append(names, name)
		}
	}
	var b strings.Builder
	for _, name := range names {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		b.WriteString(unified("yours/"+name, "reference/"+name, string(mine[name]), string(reference[name])))
	}
	return b.String(), nil
}
