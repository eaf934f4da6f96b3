package gotest

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"clicktocode.example/workshop/derive"
)

// Kind is how an exercise stands.
type Kind string

// The kinds of a verdict. All but Solved mean unsolved.
const (
	Solved     Kind = "solved"
	Failed     Kind = "failed"      // an assertion did not hold
	NotChecked Kind = "not checked" // a test could not run here, and none failed
	NotBuilt   Kind = "not built"   // the compiler, or vet, refused it
	Panicked   Kind = "panicked"
	Stuck      Kind = "stuck" // a deadlock
	TimedOut   Kind = "timed out"
	Raced      Kind = "raced" // the race detector found two at the same memory
	Flooded    Kind = "flooded"
	Ended      Kind = "ended" // the test program ended in the middle, in some other way
)

// Verdict is what came of testing one exercise: its kind, and of all that went
// wrong the first thing, in plain words.
type Verdict struct {
	Kind Kind
	// Test is the leaf test that it is about; empty if none is to blame.
	Test string
	// At is the line to look at, as "path:line" from the root: the learner's
	// own if it is known, otherwise the test's. It may be empty.
	At string
	// Says is the one thing to read. Detail, which may be empty, is what
	// belongs to it: the values compared, the compiler's further messages.
	Says, Detail string
	// LooksLike is the known mistake that fails the same way, or nil.
	LooksLike *derive.Mistake
	// Rest is all that go test printed.
	Rest string
}

// Subject is what a verdict is passed on.
type Subject struct {
	Root     string // absolute; paths are shown from here
	Dir      string // of the package, absolute
	Package  string // its import path
	Mistakes []*derive.Mistake
}

// Verdict passes judgement on one package of the report.
func (r *Report) Verdict(s Subject) Verdict {
	p := r.Packages[s.Package]
	if p == nil {
		return Verdict{
			Kind: NotBuilt, Rest: r.Stderr,
			Says: "go test did not get as far as this package. It says:", Detail: strings.TrimSpace(r.Stderr),
		}
	}
	v := Verdict{Rest: p.Text() + r.Stderr}
	switch {
	case p.Build != "":
		v.notBuilt(s, p)
	case r.Flooded:
		v.Kind = Flooded
		v.Says = "It printed without end, and was stopped. Look for a loop that prints or logs and never ends."
	case p.Status == Pass || p.Status == Skip:
		v.Kind = Solved
		for _, t := range p.Leaves() {
			if t.Status == Skip {
				v.Kind, v.Test = NotChecked, t.Name
				v.Says = strings.Join(messages(t.Output), " ")
				break
			}
		}
		if len(p.Leaves()) == 0 {
			v.Kind, v.Says = NotChecked, "The package has no tests."
		}
	case v.crashed(s, p):
	default:
		v.failed(s, p)
	}
	return v
}

var compilerLine = regexp.MustCompile(`^(?:vet: )?(\S+\.go):(\d+)(?::\d+)?: (.*)$`)

func (v *Verdict) notBuilt(s Subject, p *Package) {
	v.Kind = NotBuilt
	v.Says = "It does not compile."
	var further []string
	for _, line := range strings.Split(p.Build, "\n") {
		m := compilerLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		at := Relative(s.Root, filepath.Join(s.Dir, filepath.Base(m[1]))) + ":" + m[2]
		if v.At == "" {
			v.At, v.Says = at, "It does not compile: "+m[3]
		} else {
			further = append(further, at+": "+m[3])
		}
	}
	if v.At == "" {
		further = []string{strings.TrimSpace(p.Build)}
	}
	v.Detail = strings.Join(further, "\n")
}

// What the runtime and the testing package print when a program breaks down.
var (
	timedOut = regexp.MustCompile(`(?m)^panic: test timed out after (\S+)`)
	deadlock = regexp.MustCompile(`(?m)^(?:panic|fatal error): .*(?:deadlock|blocked goroutines remain|all goroutines in bubble are blocked)`)
	overflow = regexp.MustCompile(`(?m)^fatal error: stack overflow`)
	raced    = regexp.MustCompile(`(?m)^WARNING: DATA RACE`)
	panicked = regexp.MustCompile(`(?m)^(?:\s*panic|fatal error): (.*)`)
)

// crashed recognises a run that did not end by an assertion.
func (v *Verdict) crashed(s Subject, p *Package) bool {
	text := p.Text()
	where := ""
	if v.At = ownLine(s, text); v.At != "" {
		where = " Your line: " + path.Base(v.At) + "."
	}
	v.Test = cutOff(p)
	switch {
	case timedOut.MatchString(text) && !noneFailed(p):
		// What hangs is often what an assertion has named already.
		v.At, v.Test = "", ""
		return false
	case timedOut.MatchString(text):
		v.Kind = TimedOut
		v.Says = fmt.Sprintf("It was still running after %s, and was stopped.%s It waits for something that does not come, or its loop does not end.",
			timedOut.FindStringSubmatch(text)[1], where)
	case overflow.MatchString(text):
		v.Kind = Panicked
		v.Says = "It calls itself for ever, until the stack is full." + where
	case deadlock.MatchString(text):
		v.Kind = Stuck
		v.Says = "It got stuck: all its goroutines wait, and none is left that could wake another (a deadlock)." + where
	case raced.MatchString(text):
		v.Kind = Raced
		v.Says = "Two goroutines use the same memory at the same time, and at least one of them writes (a data race)." + where
	case panicked.MatchString(text):
		v.Kind = Panicked
		what := panicked.FindStringSubmatch(text)[1]
		if at := strings.Index(what, " [recovered"); at >= 0 {
			what = what[:at]
		}
		v.Says = fmt.Sprintf("It panicked: %s.%s", what, where)
	case noneFailed(p):
		v.Kind = Ended
		v.Says = "The test program ended before its tests did. Does the code call os.Exit or log.Fatal?"
	default:
		v.At, v.Test = "", ""
		return false
	}
	return true
}

func noneFailed(p *Package) bool {
	for _, t := range p.Tests {
		if t.Status == Fail {
			return false
		}
	}
	return true
}

// cutOff is the leaf that was running when the program broke down.
func cutOff(p *Package) string {
	name := ""
	for _, t := range p.Leaves() {
		if t.Status == "" || strings.Contains(t.Output, "panic: ") {
			name = t.Name
		}
	}
	return name
}

// ownLine is the first line of a stack trace that is in the package, and not in its tests.
func ownLine(s Subject, text string) string {
	for _, m := range traceLine.FindAllStringSubmatch(text, -1) {
		file := filepath.FromSlash(m[1])
		if filepath.Dir(file) == s.Dir && !strings.HasSuffix(file, "_test.go") {
			return Relative(s.Root, file) + ":" + m[2]
		}
	}
	return ""
}

var traceLine = regexp.MustCompile(`(?m)^\s+(\S.*\.go):(\d+)`)

// failed takes the first leaf that did not hold.
func (v *Verdict) failed(s Subject, p *Package) {
	v.Kind = Failed
	first := firstFailed(p)
	if first == nil {
		v.Says = "go test failed, and no test says why. It printed:"
		v.Detail = strings.TrimSpace(v.Rest)
		return
	}
	v.Test = first.Name
	v.At, v.Says, v.Detail = assertion(s, first.Output)
	for _, m := range s.Mistakes {
		if m.CaughtBy == first.Name && m.In(first.Output) {
			v.LooksLike = m
			break
		}
	}
}

// firstFailed is the first failing leaf, or, where a test with subtests failed
// by an assertion of its own, that test.
func firstFailed(p *Package) *Test {
	for _, t := range p.Leaves() {
		if t.Status == Fail {
			return t
		}
	}
	for _, t := range p.Tests {
		if t.Status == Fail && len(messages(t.Output)) > 0 {
			return t
		}
	}
	return nil
}

var (
	logLine  = regexp.MustCompile(`^\s*([\w.-]+\.go):(\d+): ?(.*)$`)
	labelled = regexp.MustCompile(`^\s+\t(Error Trace|Error|Test|Messages):\s*\t?(.*)$`)
)

// assertion takes the first failed assertion out of a test's output: testify's
// block, or a line of t.Error's.
func assertion(s Subject, output string) (at, says, detail string) {
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		m := logLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at = Relative(s.Root, filepath.Join(s.Dir, m[1])) + ":" + m[2]
		if strings.TrimSpace(m[3]) != "" {
			var more []string
			for _, next := range lines[i+1:] {
				if logLine.MatchString(next) || !strings.HasPrefix(next, "        ") {
					break
				}
				more = append(more, strings.TrimPrefix(next, "        "))
			}
			return at, m[3], strings.TrimRight(strings.Join(more, "\n"), "\n ")
		}
		block := testifyBlock(lines[i+1:])
		// Beside the two values, testify prints their difference, mostly the longer text.
		says = block["Messages"]
		detail, _, _ = strings.Cut(block["Error"], "\n\nDiff:")
		if says == "" {
			says, detail = detail, ""
		}
		return at, says, detail
	}
	return "", strings.TrimSpace(output), ""
}

// testifyBlock reads the labelled lines of one failed assertion. What goes on
// over several lines is indented under its label.
func testifyBlock(lines []string) map[string]string {
	block := map[string]string{}
	label := ""
	for _, line := range lines {
		if m := labelled.FindStringSubmatch(line); m != nil {
			if block[m[1]] != "" {
				break // the next assertion
			}
			label = m[1]
			block[label] = m[2]
			continue
		}
		text, isMore := strings.CutPrefix(line, "        \t            \t")
		if !isMore || label == "" {
			break
		}
		block[label] += "\n" + text
	}
	for label, text := range block {
		block[label] = strings.TrimSpace(text)
	}
	return block
}

// messages are the texts of t.Log, t.Skip and t.Error in a test's output.
func messages(output string) []string {
	var all []string
	for _, line := range strings.Split(output, "\n") {
		if m := logLine.FindStringSubmatch(line); m != nil {
			all = append(all, m[3])
		}
	}
	return all
}
