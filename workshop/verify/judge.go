package verify

import (
	"context"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/derive"
	"clicktocode.example/workshop/gotest"
)

// What a learner's patience allows.
const (
	solvedWithin  = 2 * time.Second
	starterWithin = 10 * time.Second
)

// sideBySide is more packages at a time than there are cores: starters and
// mistakes spend their time waiting for what never comes.
var sideBySide = fmt.Sprintf("-p=%d", 2*runtime.NumCPU())

// testedWithin ends what hangs. Nothing that is right comes near it, on a machine that
// does much else and under the race detector, too.
const testedWithin = "-timeout=5m"

// judge tests the solutions, the starters and the mistakes of ch: all packages
// in one run, then those that must be free of races in a second one.
func (v *verifier) judge(ctx context.Context, ch *course.Chapter) {
	packages := []string{"./..."}
	raced := []string{"./..."}
	if !v.whole(ch) {
		packages, raced = nil, nil
		for _, e := range ch.Exercises {
			if v.chosen(e) {
				raced = append(raced, "./solution/"+e.Name, "./exercise/"+e.Name)
				packages = append(packages, "./solution/"+e.Name, "./exercise/"+e.Name)
				mistakes, _ := e.Mistakes() // a broken one was reported when it was laid
				for _, m := range mistakes {
					packages = append(packages, "./"+mistakePackage(e, m))
				}
			}
		}
	}
	dir := v.scratchOf(ch)

	// Vet the solutions and what is derived; a mistake may well be one that vet knows.
	vetted := []string{}
	out, p := command(ctx, dir, nil, "go", append([]string{"list"}, raced...)...)
	for _, pkg := range strings.Fields(out) {
		if !strings.Contains(pkg, "/mistaken/") {
			vetted = append(vetted, pkg)
		}
	}
	if p == "" {
		_, p = command(ctx, dir, nil, "go", append([]string{"vet"}, vetted...)...)
	}
	v.report(ch.Name+" vets", nonEmpty(p)...)

	plain, err := gotest.Run(ctx, dir, nil, append([]string{sideBySide, "-vet=off", testedWithin}, packages...)...)
	if err != nil {
		v.report(ch.Name+" can be tested", problem(err)...)
		return
	}
	if plain.Stderr != "" && len(plain.Packages) == 0 {
		v.report(ch.Name+" can be tested", plain.Stderr)
		return
	}
	race, why := v.race(ctx, dir, vetted)
	if race == nil && why != "" {
		v.note("%s: the race detector did not run: %s", ch.Name, why)
		if v.options.RequireRace {
			v.report(ch.Name+" has no data race", "the race detector is required here, and did not run: "+why)
		}
	}
	for _, e := range ch.Exercises {
		if !v.chosen(e) {
			continue
		}
		v.solved(ctx, e, plain, race)
		v.red(ctx, e, plain, race)
		mistakes, _ := e.Mistakes()
		for _, m := range mistakes {
			v.caught(e, m, plain)
		}
	}
	if v.whole(ch) {
		v.given(ch, plain, race)
	}
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// race runs the packages under the race detector, which needs a C compiler.
func (v *verifier) race(ctx context.Context, dir string, packages []string) (*gotest.Report, string) {
	out, _ := command(ctx, dir, []string{"CGO_ENABLED=1"}, "go", "env", "CC")
	cc := strings.TrimSpace(out)
	if cc == "" {
		cc = "gcc"
	}
	if _, err := exec.LookPath(strings.Fields(cc)[0]); err != nil {
		return nil, fmt.Sprintf("it needs a C compiler, and %s was not found", cc)
	}
	report, err := gotest.Run(ctx, dir, []string{"CGO_ENABLED=1"}, append([]string{"-race", sideBySide, "-vet=off", testedWithin}, packages...)...)
	if err != nil {
		return nil, err.Error()
	}
	if len(report.Packages) == 0 {
		return nil, fmt.Sprintf("on %s/%s, go says: %s", runtime.GOOS, runtime.GOARCH, report.Stderr)
	}
	return report, ""
}

// subject is a package of the scratch copy, shown under the name that it has in the clone.
func (v *verifier) subject(ch *course.Chapter, rel string) gotest.Subject {
	return gotest.Subject{
		Root:    v.scratch,
		Dir:     filepath.Join(v.scratchOf(ch), filepath.FromSlash(rel)),
		Package: path.Join(ch.Module, rel),
	}
}

// solved checks that the solution passes, without a race, and soon.
func (v *verifier) solved(ctx context.Context, e *course.Exercise, plain, race *gotest.Report) {
	s := v.subject(e.Chapter, "solution/"+e.Name)
	problems := v.green(s, plain, race)
	if took := v.took(ctx, s, plain, solvedWithin); took > solvedWithin {
		problems = append(problems, fmt.Sprintf("its tests took %s; a learner saves often, so they may take %s: use synctest, or shorter deadlines", took, solvedWithin))
	}
	v.report(e.Name+" is solved by its solution", problems...)
}

// took is how long the tests of s took. If that was longer than within, they may have
// had to wait for others beside them: then they are run again, alone, and the quickest
// of three runs counts.
func (v *verifier) took(ctx context.Context, s gotest.Subject, first *gotest.Report, within time.Duration) time.Duration {
	p := first.Packages[s.Package]
	if p == nil {
		return 0
	}
	took := p.Elapsed
	for again := 0; again < 2 && took > within; again++ {
		report, err := gotest.Run(ctx, s.Dir, nil, "-count=1", "-vet=off", "-timeout=60s", ".")
		if err != nil || report.Packages[s.Package] == nil {
			break
		}
		took = min(took, report.Packages[s.Package].Elapsed)
	}
	return took
}

// given checks the other packages of a chapter.
func (v *verifier) given(ch *course.Chapter, plain, race *gotest.Report) {
	var problems []string
	for importPath, p := range plain.Packages {
		rel := strings.TrimPrefix(strings.TrimPrefix(importPath, ch.Module), "/")
		switch top, _, _ := strings.Cut(rel, "/"); {
		case top == "solution" || top == "exercise" || top == "mistaken":
		case p.Status == gotest.Skip && len(p.Tests) == 0: // no test files
		default:
			for _, problem := range v.green(v.subject(ch, rel), plain, race) {
				problems = append(problems, path.Join(ch.Name, rel)+": "+problem)
			}
		}
	}
	v.report(ch.Name+": the given packages pass", problems...)
}

// green lists what keeps a package from passing. What could not be checked is
// noted, and fails where everything is required.
func (v *verifier) green(s gotest.Subject, plain, race *gotest.Report) (problems []string) {
	for _, run := range []struct {
		how    string
		report *gotest.Report
	}{{"", plain}, {"under -race: ", race}} {
		if run.report == nil {
			continue
		}
		switch verdict := run.report.Verdict(s); verdict.Kind {
		case gotest.Solved:
		case gotest.NotChecked:
			if v.options.RequireRace {
				problems = append(problems, run.how+"a test could not run, and is required here: "+verdict.Test+": "+verdict.Says)
			} else if run.how == "" {
				v.note("%s: not checked: %s: %s", strings.TrimPrefix(s.Package, "clicktocode.example/"), verdict.Test, verdict.Says)
			}
		default:
			problems = append(problems, run.how+describe(verdict))
		}
	}
	return problems
}

func describe(v gotest.Verdict) string {
	s := string(v.Kind)
	if v.Test != "" {
		s += ": " + v.Test
	}
	if v.At != "" {
		s += " (" + v.At + ")"
	}
	s += ": " + v.Says
	if v.Detail != "" {
		s += "\n" + v.Detail
	}
	return s
}

// red checks that the starter fails, for the right reason: it builds, and each
// leaf that is no guard fails by an assertion, soon.
func (v *verifier) red(ctx context.Context, e *course.Exercise, plain, race *gotest.Report) {
	var problems []string
	s := v.subject(e.Chapter, "exercise/"+e.Name)
	for _, report := range []*gotest.Report{plain, race} {
		if report == nil {
			continue
		}
		verdict := report.Verdict(s)
		if verdict.Kind != gotest.Failed {
			problems = append(problems, "the starter must fail by assertions, but it is "+describe(verdict))
		}
	}
	p := plain.Packages[s.Package]
	if p == nil || len(problems) > 0 {
		v.report(e.Name+" starts red for the right reason", append(problems, missing(p)...)...)
		return
	}
	guards, err := v.guards(e)
	problems = append(problems, problem(err)...)
	used := map[string]bool{}
	for _, t := range p.Leaves() {
		guard := guardOf(t.Name, guards)
		switch {
		case t.Status == gotest.Pass && guard == "":
			problems = append(problems, t.Name+" passes although nothing is solved: let it assert something that must work, or declare it beside the test: //workshop:guard "+t.Name)
		case t.Status == gotest.Pass:
			used[guard] = true
		}
	}
	for _, guard := range guards {
		if !used[guard] {
			problems = append(problems, "//workshop:guard "+guard+" is out of date: no such leaf passes on the starter")
		}
	}
	if took := v.took(ctx, s, plain, starterWithin); took > starterWithin {
		problems = append(problems, fmt.Sprintf("the starter's tests took %s, and may take %s: shorten the deadlines", took, starterWithin))
	}
	v.report(e.Name+" starts red for the right reason", problems...)
}

func missing(p *gotest.Package) []string {
	if p == nil {
		return []string{"go test did not run the starter"}
	}
	return nil
}

func (v *verifier) guards(e *course.Exercise) ([]string, error) {
	files, err := course.Files(e.SolutionDir())
	if err != nil {
		return nil, err
	}
	var guards []string
	for name, text := range files {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		g, err := derive.Guards(e.Chapter.Name+"/solution/"+e.Name+"/"+name, text)
		if err != nil {
			return nil, err
		}
		guards = append(guards, g...)
	}
	return guards, nil
}

func guardOf(leaf string, guards []string) string {
	for _, g := range guards {
		above, all := strings.CutSuffix(g, "/...")
		if leaf == g || all && strings.HasPrefix(leaf, above+"/") {
			return g
		}
	}
	return ""
}

// caught checks that a learner who makes the mistake is told so: the first
// leaf to fail is the one that the mistake names, by an assertion that holds
// its words.
func (v *verifier) caught(e *course.Exercise, m *derive.Mistake, plain *gotest.Report) {
	s := v.subject(e.Chapter, mistakePackage(e, m))
	s.Mistakes = []*derive.Mistake{m}
	var problems []string
	switch verdict := plain.Verdict(s); {
	case verdict.Kind == gotest.Solved:
		problems = []string{"all tests pass with the mistake in: " + m.CaughtBy + " does not catch it"}
	case verdict.Kind != gotest.Failed:
		problems = []string{"it must fail by an assertion, but it is " + describe(verdict)}
	case verdict.Test != m.CaughtBy:
		problems = []string{fmt.Sprintf("%s must be the first leaf to fail, but %s is: a learner reads the first one. It says:\n%s", m.CaughtBy, verdict.Test, verdict.Says)}
	case verdict.LooksLike == nil:
		problems = []string{fmt.Sprintf("%s fails, but does not say %q. It says:\n%s", m.CaughtBy, strings.Join(m.Says, `", "`), verdict.Says)}
	}
	v.report(fmt.Sprintf("%s catches the mistake %s", e.Name, m.Name), problems...)
}

// module checks that a module stands on its own: it builds without the
// workspace, and its go.mod is tidy.
func (v *verifier) module(ctx context.Context, name, dir string) {
	off := []string{"GOWORK=off"}
	_, p := command(ctx, dir, off, "go", "build", "./...")
	v.report(name+" builds with GOWORK=off", nonEmpty(p)...)
	_, p = command(ctx, dir, off, "go", "mod", "tidy", "-diff")
	if p != "" {
		p = "run `go mod tidy` in " + name + "; " + p
	}
	v.report(name+" is tidy", nonEmpty(p)...)
}
