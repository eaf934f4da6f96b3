package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/proc"
	"clicktocode.example/workshop/show"
	"clicktocode.example/workshop/stack"
)

// doctor checks the machine and warms Go's caches, so that neither poor Wi-Fi
// nor a first build of a minute stands between a learner and the first test.
func doctor(ctx context.Context, a *app, args []string) error {
	if args, err := a.flags("doctor", "", nil, args); err != nil {
		return err
	} else if len(args) > 0 {
		return misuse("doctor takes no arguments, got %q", args)
	}
	d := &examination{app: a, page: a.page()}
	d.goVersion(ctx)
	d.clock()
	d.state()
	d.modules(ctx)
	for _, ch := range a.course.Chapters {
		d.build(ctx, ch)
	}
	d.loopback()
	d.ports(ctx)
	d.services()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fmt.Fprintf(a.stdout, "\nIf you ask for help, paste this line:\n%s\n", strings.Join(d.summary, " · "))
	if d.faults > 0 {
		return errRed
	}
	return nil
}

type examination struct {
	*app
	page    show.Page
	summary []string
	faults  int
}

// good and bad say how one thing is; brief is its part of the line to paste.

func (d *examination) good(brief, format string, args ...any) {
	fmt.Fprintf(d.stdout, "%s %s\n", d.page.Good("ok  "), fmt.Sprintf(format, args...))
	d.summary = append(d.summary, brief)
}

func (d *examination) bad(brief, format string, args ...any) {
	fmt.Fprintf(d.stdout, "%s %s\n", d.page.Bad("BAD "), fmt.Sprintf(format, args...))
	d.summary = append(d.summary, "BAD "+brief)
	d.faults++
}

func (d *examination) goVersion(ctx context.Context) {
	cmd := exec.Command("go", "env", "GOVERSION")
	cmd.Dir = d.course.Root
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := proc.Run(ctx, cmd); err != nil {
		d.bad("no go", "the go command does not run: %v: install Go from https://go.dev/dl", err)
		return
	}
	version := strings.TrimSpace(out.String())
	platform := runtime.GOOS + "/" + runtime.GOARCH
	d.good(version+" "+platform, "%s on %s, %d cores", version, platform, runtime.NumCPU())
}

// clock compares this machine's time with the newest file of the clone: a
// clock that is behind makes certificates "not yet valid".
func (d *examination) clock() {
	info, err := os.Stat(filepath.Join(d.course.Root, "go.work"))
	if err == nil && info.ModTime().After(time.Now().Add(time.Hour)) {
		d.bad("clock", "the clock says %s, which is before this clone was made: set it, or certificates will be refused", time.Now().Format(time.RFC3339))
		return
	}
	d.good("clock", "the clock says %s", time.Now().Format(time.RFC3339))
}

func (d *examination) state() {
	dir, err := d.course.StateDir()
	if err != nil {
		d.bad("state", "%v", err)
		return
	}
	d.good("state", "keys, copies and caches go to %s", dir)
}

// arrived is what `go mod download -x` prints of a module that has come: the
// last two parts of its path, and its version.
var arrived = regexp.MustCompile(`^# get \S*?([^/]+/[^/]+)/@v/(\S+)\.zip: 200 OK`)

// modules downloads what the chapters and this tool need, on any system, and says
// module by module what arrives. Each is asked for its own: for all together, `go mod
// download` would bring twice as much, and write its sums into go.work.sum, where they
// would be in the way of a `git pull`. Then come the go.mod files of the rest, which
// `go doc` asks for.
func (d *examination) modules(ctx context.Context) {
	began, n := time.Now(), 0
	var dirs []string
	err := d.watch(ctx, d.course.Root, nil, func(line string) {
		if filepath.IsAbs(line) { // what else Go says, of a download of its own, is no folder
			dirs = append(dirs, line)
		}
	}, "list", "-m", "-f", "{{.Dir}}")
	for _, dir := range dirs {
		if err != nil {
			break
		}
		err = d.watch(ctx, dir, []string{"GOWORK=off"}, func(line string) {
			if m := arrived.FindStringSubmatch(line); m != nil {
				n++
				fmt.Fprintf(d.stdout, "     %s\n", d.page.Faint(m[1]+" "+m[2]))
			}
		}, "mod", "download", "-x")
	}
	if err == nil {
		err = d.watch(ctx, d.course.Root, nil, func(string) {}, "list", "-m", "all")
	}
	switch {
	case err != nil && ctx.Err() == nil:
		d.bad("modules", "not all modules could be downloaded: %v\n     On poor Wi-Fi, take them from a stick: see \"A class on poor Wi-Fi\" in README.md", err)
	case n > 0:
		d.good("modules", "%d modules downloaded in %s", n, time.Since(began).Round(100*time.Millisecond))
	case err == nil:
		d.good("modules", "all modules are there")
	}
}

// build compiles a chapter with its tests, so that what is left for the first
// test of a learner is one small package.
func (d *examination) build(ctx context.Context, ch *course.Chapter) {
	began, n := time.Now(), 0
	// -v tells of each package that is compiled; "^$" runs no test.
	err := d.watch(ctx, ch.Dir, nil, func(line string) {
		if !strings.Contains(line, " ") && !strings.HasPrefix(line, ch.Module) {
			if n++; n%25 == 0 {
				fmt.Fprintf(d.stdout, "     %s\n", d.page.Faint(fmt.Sprintf("%d packages compiled, now at %s", n, line)))
			}
		}
	}, "build", "-v", "./...")
	if err == nil {
		err = d.watch(ctx, ch.Dir, nil, func(string) {}, "test", "-run=^$", "./solution/...")
	}
	if err != nil && ctx.Err() == nil {
		d.bad(ch.Name+" build", "%s does not build: %v", ch.Name, err)
	} else if err == nil {
		took := time.Since(began).Round(100 * time.Millisecond)
		d.good(fmt.Sprintf("%s built in %s", ch.Name, took), "%s: built in %s, %d packages compiled anew", ch.Name, took, n)
	}
}

// watch runs a go command in dir, and tells of each line as it is printed.
func (d *examination) watch(ctx context.Context, dir string, env []string, each func(string), args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	var last string
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := bufio.NewScanner(r)
		for in.Scan() {
			last = in.Text()
			each(last)
		}
		_, _ = io.Copy(io.Discard, r) // a line longer than a Scanner's
	}()
	err := proc.Run(ctx, cmd)
	w.Close()
	<-done
	if err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	return nil
}

func (d *examination) loopback() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.bad("loopback", "127.0.0.1 cannot be listened on: %v: a firewall or a VPN may be in the way", err)
		return
	}
	defer ln.Close()
	conn, err := net.DialTimeout("tcp", ln.Addr().String(), 2*time.Second)
	if err != nil {
		d.bad("loopback", "127.0.0.1 cannot be dialled: %v: a firewall or a VPN may be in the way", err)
		return
	}
	conn.Close()
	d.good("loopback", "loopback works")
}

// ports tries the addresses that the last chapter's stack wants.
func (d *examination) ports(ctx context.Context) {
	if r, err := stack.Find(d.course); err == nil {
		d.good("ports in use by up", "the stack of %s is running, so its ports are taken, as they should be", r.Chapter)
		return
	}
	ch, err := d.course.Chapter("")
	if err != nil {
		return
	}
	p, err := stack.Build(ctx, d.course, ch, nil)
	if err != nil {
		if ctx.Err() == nil {
			d.bad("stack", "%v", err)
		}
		return
	}
	for _, role := range p.Roles {
		ln, err := net.Listen("tcp", role.Addr)
		if err != nil {
			d.bad(role.Addr, "%s is taken, and the role %s wants it: %v", role.Addr, role.Name, err)
			continue
		}
		ln.Close()
		d.good(role.Addr, "%s is free for %s", role.Addr, role.Name)
	}
}

// services says what the later chapters will find. Nothing here is needed to begin.
func (d *examination) services() {
	d.service("PostgreSQL", "DATABASE_URL", "postgres", []string{
		"/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin", `C:\Program Files\PostgreSQL\*\bin`,
	})
	d.service("memcached", "MEMCACHED_SERVERS", "memcached", nil)
}

func (d *examination) service(name, variable, program string, places []string) {
	if value := os.Getenv(variable); value != "" {
		d.good(name+" by "+variable, "%s: the server that %s names will be used", name, variable)
		return
	}
	if path, err := exec.LookPath(program); err == nil {
		d.good(name+" "+path, "%s: %s was found and will be used", name, path)
		return
	}
	for _, place := range places {
		if found, _ := filepath.Glob(filepath.Join(place, program+"*")); len(found) > 0 {
			d.good(name+" "+found[0], "%s: %s was found and will be used", name, found[0])
			return
		}
	}
	d.good("no "+name, "%s: none was found; chapters 1 to 5 need none", name)
}
