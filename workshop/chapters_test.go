package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/stack"
)

// realClassroom is a classroom with the real chapters in it.
func realClassroom(t testing.TB) (*classroom, *course.Course) {
	c := emptyClassroom(t)
	original, err := course.Open("..")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(c.dir, 0o755))
	work := "go 1.26.0\n"
	for _, ch := range original.Chapters {
		require.NoError(t, os.CopyFS(filepath.Join(c.dir, ch.Name), os.DirFS(ch.Dir)))
		require.NoError(t, os.RemoveAll(filepath.Join(c.dir, ch.Name, "exercise")))
		work += "\nuse ./" + ch.Name + "\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "go.work"), []byte(work), 0o644))
	if sum, err := os.ReadFile("../go.work.sum"); err == nil {
		require.NoError(t, os.WriteFile(filepath.Join(c.dir, "go.work.sum"), sum, 0o644))
	}
	copied, err := course.Open(c.dir)
	require.NoError(t, err)
	return c, copied
}

// TestChaptersKeepTheContract runs each chapter's real stack and clicks on it,
// with every address that it knows put somewhere else.
func TestChaptersKeepTheContract(t *testing.T) {
	c, real := realClassroom(t)
	for _, ch := range real.Chapters {
		if _, err := os.Stat(filepath.Join(ch.Dir, "main.go")); err != nil {
			continue
		}
		t.Run(ch.Name, func(t *testing.T) {
			p, err := stack.Build(t.Context(), real, ch, nil)
			require.NoError(t, err, "main -describe must hold what the tool knows, and nothing else")
			require.NotEmpty(t, p.Title)
			require.NotEmpty(t, p.Roles)
			require.NotEmpty(t, p.Try)
			here := *c
			here.t = t
			for name := range p.Env {
				if strings.HasSuffix(name, "_ADDR") {
					here.env = append(here.env, name+"="+freeAddr(t))
				}
			}
			up := here.start("up", ch.Name)
			up.prints("Ctrl-C ends it", 1)
			running, err := stack.Find(real)
			require.NoError(t, err)
			target, err := url.Parse(running.URL)
			require.NoError(t, err)
			var clicked stack.Click
			require.NoError(t, json.Unmarshal([]byte(here.run("click", "--json")), &clicked))
			if clicked.Status == 201 { // a click here is a whole dinner
				target.Path = "/menu"
			}
			require.NoError(t, os.Remove(filepath.Join(here.dir, ".workshop", "tls-sessions.json")))
			var first, second stack.Click
			printed := here.run("click", "--json", target.String())
			require.NoError(t, json.Unmarshal([]byte(printed), &first), "it printed %s", printed)
			require.NoError(t, json.Unmarshal([]byte(here.run("click", "--json", target.String())), &second))
			assert.Equal(t, 200, first.Status)
			assert.False(t, first.Resumed)
			assert.True(t, second.Resumed, "the second click, a process of its own, resumes the first one's TLS session")
			assert.Equal(t, []string{"DNS", "TCP", "TLS", "wait", "body"}, phases(first))
			twice := strings.Split(strings.TrimSpace(here.run("click", "--json", "-n", "2", target.String())), "\n")
			require.Len(t, twice, 2)
			var reused stack.Click
			require.NoError(t, json.Unmarshal([]byte(twice[1]), &reused))
			assert.True(t, reused.Reused)
			assert.Equal(t, []string{"wait", "body"}, phases(reused), "a reused connection needs no look-up and no handshake")
			up.prints("GET "+target.Path+" → 200", 4)
			require.NoError(t, up.cmd.Process.Signal(os.Interrupt))
			require.NoError(t, up.ends())
			assert.NotContains(t, up.out.String(), "died")
			assert.Equal(t, len(p.Roles), strings.Count(up.out.String(), "stopped"))
		})
	}
}

// phases are the names of the client's own: what is a part of another is indented.
func phases(c stack.Click) (names []string) {
	for _, p := range c.Phases {
		if name := strings.TrimRight(p.Name, " "); !strings.HasPrefix(name, " ") {
			names = append(names, name)
		}
	}
	return names
}

var testedIn = regexp.MustCompile(`\(tested in [^)]*\)`)

// BenchmarkSaveToVerdict measures, for each exercise of the real chapters, how
// long a save takes to its verdict in the guide, and how long a bare `go test`
// of the same package takes, turn by turn. The files are solved ones; each save
// adds a variable, so that all must be compiled, linked and run: after a change
// of a comment alone, Go would know the result already. It prints both.
//
//	go test -run '^$' -bench SaveToVerdict -benchtime 5x .
func BenchmarkSaveToVerdict(b *testing.B) {
	c, real := realClassroom(b)
	exercises := real.Exercises()
	for _, e := range exercises {
		files, err := e.Reference()
		require.NoError(b, err)
		require.NoError(b, course.Write(e.Dir(), files))
	}
	c.run("progress") // as the guide does when it begins: now it need not wait for that
	guide := c.start("watch", "--plain")
	guide.prints("(tested in", 1)
	bare, guided := map[string][]time.Duration{}, map[string][]time.Duration{}
	saves := 0
	save := func(e *course.Exercise) {
		saves++
		path := filepath.Join(e.Dir(), e.Name+".go")
		text, err := os.ReadFile(path)
		require.NoError(b, err)
		require.NoError(b, os.WriteFile(path, fmt.Appendf(text, "\nvar Save%d = %[1]d\n", saves), 0o644))
	}
	for b.Loop() {
		for _, e := range exercises {
			// The guide sees this save too, and is waited for, so that it is out of the way.
			seen := len(testedIn.FindAllString(guide.out.String(), -1))
			began := time.Now()
			save(e)
			guide.prints("(tested in", seen+1)
			guided[e.Name] = append(guided[e.Name], time.Since(began))
			assert.Contains(b, guide.out.String(), "✓ "+e.Name+" is solved")

			text, err := os.ReadFile(filepath.Join(e.Dir(), e.Name+".go"))
			require.NoError(b, err)
			aside := filepath.Join(e.Chapter.Dir, "exercise", e.Name+"bare", e.Name)
			require.NoError(b, os.MkdirAll(aside, 0o755))
			files, err := course.Files(e.Dir())
			require.NoError(b, err)
			files[e.Name+".go"] = fmt.Appendf(text, "\nvar Bare%d = %[1]d\n", saves)
			for name, text := range files {
				files[name] = []byte(strings.ReplaceAll(string(text), e.Package()+`"`, e.Chapter.Module+"/exercise/"+e.Name+"bare/"+e.Name+`"`))
			}
			require.NoError(b, course.Write(aside, files))
			began = time.Now()
			cmd := exec.Command("go", "test", "./exercise/"+e.Name+"bare/"+e.Name)
			cmd.Dir, cmd.Env = e.Chapter.Dir, c.env
			out, err := cmd.CombinedOutput()
			bare[e.Name] = append(bare[e.Name], time.Since(began))
			require.NoError(b, err, "%s", out)
		}
	}
	require.NoError(b, guide.cmd.Process.Signal(os.Interrupt))
	_ = guide.ends()

	var medians, ratios []float64
	for _, e := range exercises {
		g, p := median(guided[e.Name]), median(bare[e.Name])
		medians, ratios = append(medians, g.Seconds()), append(ratios, g.Seconds()/p.Seconds())
		b.Logf("%-12s guide %4d ms, go test %4d ms, ratio %.2f", e.Name, g.Milliseconds(), p.Milliseconds(), g.Seconds()/p.Seconds())
	}
	slices.Sort(medians)
	slices.Sort(ratios)
	b.ReportMetric(medians[len(medians)/2], "s/verdict")
	b.ReportMetric(ratios[len(ratios)/2], "x/bare")
	b.ReportMetric(0, "ns/op")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
