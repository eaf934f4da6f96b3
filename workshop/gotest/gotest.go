// Package gotest runs `go test -json` and says in plain words what came of it.
package gotest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"clicktocode.example/workshop/proc"
)

// Status is how a test or a package ended, in go test's words. A test that
// was cut off in its run has none.
type Status string

// The statuses.
const (
	Pass Status = "pass"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Report is what one run of go test said, package by package.
type Report struct {
	// Packages by import path, in no order; those that did not build included.
	Packages map[string]*Package
	// Stderr is what go itself said: a package that does not exist, a broken go.mod.
	Stderr string
	// Flooded: the run was ended because it printed without end.
	Flooded bool
}

// Package is one package's part of a Report.
type Package struct {
	Path    string
	Status  Status
	Elapsed time.Duration
	Cached  bool
	// Tests in the order they started, parents before their subtests.
	Tests []*Test
	// Build is what the compiler said, or vet, if that ended the run.
	Build string
	// Output is what belongs to no test: a data race's report, how the binary ended.
	Output string
}

// Test is one test or subtest.
type Test struct {
	Name    string
	Status  Status
	Elapsed time.Duration
	Output  string
}

// Leaves are the tests without subtests.
func (p *Package) Leaves() []*Test {
	parents := map[string]bool{}
	for _, t := range p.Tests {
		for name := t.Name; ; {
			at := strings.LastIndexByte(name, '/')
			if at < 0 {
				break
			}
			name = name[:at]
			parents[name] = true
		}
	}
	var leaves []*Test
	for _, t := range p.Tests {
		if !parents[t.Name] {
			leaves = append(leaves, t)
		}
	}
	return leaves
}

// Text is all that the package printed.
func (p *Package) Text() string {
	var b strings.Builder
	b.WriteString(p.Build)
	for _, t := range p.Tests {
		b.WriteString(t.Output)
	}
	b.WriteString(p.Output)
	return b.String()
}

// Limits of what is kept and of what is let pass, in bytes. A test that prints
// without end is ended, and of what it printed the first part is kept.
const (
	keepOutput = 256 << 10
	floodLimit = 16 << 20
)

// Run runs `go test -json` with args in dir. The error says that go could not
// be run, or that ctx ended; a failing test is no error. env is added to the
// environment.
func Run(ctx context.Context, dir string, env []string, args ...string) (*Report, error) {
	// Of its own, so that nothing is left behind where a build is killed.
	tmp, err := os.MkdirTemp("", "workshop-build-")
	if err != nil {
		return nil, fmt.Errorf("gotest: no room for the build's temporary files: %w", err)
	}
	defer os.RemoveAll(tmp)

	flooded, cut := context.WithCancel(ctx)
	defer cut()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOTMPDIR="+tmp), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &limited{w: &stderr, left: keepOutput}
	r, w := io.Pipe()
	cmd.Stdout = w

	report := &Report{Packages: map[string]*Package{}}
	parsed := make(chan struct{})
	go func() {
		defer close(parsed)
		if report.parse(r) {
			report.Flooded = true
			cut()
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	err = proc.Run(flooded, cmd)
	w.Close()
	<-parsed
	report.Stderr = stderr.String()

	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case report.Flooded, err == nil, errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay):
		return report, nil
	}
	return nil, fmt.Errorf("gotest: %w", err)
}

// event is a line of go test -json: see `go doc test2json` and `go help buildjson`.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// parse reads events until the end, or until too much was said.
func (r *Report) parse(in io.Reader) (flooded bool) {
	c := collector{
		report: r, tests: map[[2]string]*Test{},
		builds: map[string]*strings.Builder{}, texts: map[*string]*strings.Builder{},
	}
	defer c.finish()
	said := 0
	lines := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if said += len(line); said > floodLimit {
			return true
		}
		var e event
		if json.Unmarshal(line, &e) == nil {
			c.take(e)
		}
		if err != nil {
			return false
		}
	}
}

// collector turns events into a Report.
type collector struct {
	report *Report
	tests  map[[2]string]*Test         // by package and name
	builds map[string]*strings.Builder // what the compiler said, by its own import path
	texts  map[*string]*strings.Builder
}

func (c *collector) finish() {
	for field, text := range c.texts {
		*field = text.String()
	}
}

// keep adds to what will stand in field, as long as there is room.
func (c *collector) keep(field *string, more string) {
	b := c.texts[field]
	if b == nil {
		b = &strings.Builder{}
		c.texts[field] = b
	}
	switch {
	case b.Len() > keepOutput:
	case b.Len()+len(more) > keepOutput:
		b.WriteString(more[:keepOutput-b.Len()])
		b.WriteString("\n… more was printed, and is left out here\n")
	default:
		b.WriteString(more)
	}
}

func (c *collector) take(e event) {
	if e.Action == "build-output" {
		if c.builds[e.ImportPath] == nil {
			c.builds[e.ImportPath] = &strings.Builder{}
		}
		c.builds[e.ImportPath].WriteString(e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := c.report.Packages[e.Package]
	if p == nil {
		p = &Package{Path: e.Package}
		c.report.Packages[e.Package] = p
	}
	if e.Test == "" {
		switch e.Action {
		case "pass", "fail", "skip":
			p.Status = Status(e.Action)
			p.Elapsed = seconds(e.Elapsed)
			if b := c.builds[e.FailedBuild]; b != nil {
				p.Build = b.String()
			}
		case "output":
			c.keep(&p.Output, e.Output)
			p.Cached = p.Cached || strings.HasPrefix(e.Output, "ok ") && strings.Contains(e.Output, "\t(cached)")
		}
		return
	}
	key := [2]string{e.Package, e.Test}
	t := c.tests[key]
	if t == nil {
		t = &Test{Name: e.Test}
		c.tests[key] = t
		p.Tests = append(p.Tests, t)
	}
	switch e.Action {
	case "pass", "fail", "skip":
		t.Status = Status(e.Action)
		t.Elapsed = seconds(e.Elapsed)
	case "output":
		c.keep(&t.Output, e.Output)
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// limited passes on the first bytes and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Relative is file as it is best shown from root: relative, with slashes, if it is inside.
func Relative(root, file string) string {
	if rel, err := filepath.Rel(root, file); err == nil && !strings.HasPrefix(rel, "..") {
		return filepath.ToSlash(rel)
	}
	return file
}
