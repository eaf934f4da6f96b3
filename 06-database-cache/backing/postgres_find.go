package backing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldest is the first major version with all that the service's SQL asks for
// (DROP DATABASE … WITH FORCE in its tests).
const oldest = 13

// binaries is a folder with a server that can be run.
type binaries struct {
	Dir     string
	Version string   // "15.18"
	Full    string   // what the server says of itself: two builds of one version differ in it
	Where   string   // why it was taken: "installed: on PATH"
	Account *account // whom to run it as; nil: as ourselves
}

func (b binaries) String() string {
	return fmt.Sprintf("PostgreSQL %s from %s (%s)", b.Version, b.Dir, b.Where)
}

func (b binaries) path(program string) string {
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	return filepath.Join(b.Dir, program)
}

// account is another user, for a server that refuses to run as root.
type account struct {
	Name     string
	UID, GID uint32
}

// binaries is layers 2 to 5.
func (c PostgresConfig) binaries(ctx context.Context) (binaries, error) {
	as, err := serverAccount()
	if err != nil {
		return binaries{}, err
	}
	known, err := parseBundles(bundleList)
	if err != nil {
		return binaries{}, err
	}
	switch {
	case c.Bin != "":
		bin, err := examine(ctx, c.Bin, "asked for by its folder", as)
		if err != nil {
			err = fmt.Errorf("backing: PostgreSQL: the folder that was asked for holds no server that can be used: %w", err)
		}
		return bin, err
	case c.Bundle != "":
		dir, err := c.asked(ctx, known)
		if err != nil {
			return binaries{}, fmt.Errorf("backing: PostgreSQL: the bundle that was asked for cannot be used: %w", err)
		}
		return examine(ctx, filepath.Join(dir, "bin"), "asked for as a bundle", as)
	}

	var vain []error
	try := func(dir, where string) (binaries, bool) {
		bin, err := examine(ctx, dir, where, as)
		if err != nil {
			c.Log.Info("backing: PostgreSQL passed over", "dir", dir, "error", err)
			vain = append(vain, err)
		}
		return bin, err == nil
	}
	for _, at := range places() {
		if bin, ok := try(at.dir, "installed: "+at.where); ok {
			return bin, nil
		}
	}
	if len(vain) == 0 {
		vain = append(vain, errors.New("no server is installed on PATH, nor where it is usually put"))
	}
	for _, dir := range c.cached() {
		if bin, ok := try(filepath.Join(dir, "bin"), "a bundle in the cache; no server is installed"); ok {
			return bin, nil
		}
	}
	if b, ok := newest(known); !ok {
		vain = append(vain, fmt.Errorf("nothing can be downloaded: the list of bundles has none for %s yet", platform()))
	} else if dir, err := c.install(ctx, b.URL, []bundle{b}); err != nil {
		vain = append(vain, err)
	} else if bin, ok := try(filepath.Join(dir, "bin"), "downloaded; no server is installed"); ok {
		return bin, nil
	}
	if ctx.Err() != nil {
		return binaries{}, fmt.Errorf("backing: PostgreSQL: %w", context.Cause(ctx))
	}
	return binaries{}, fmt.Errorf("%w:\n%w\n%s", ErrNoPostgres, errors.Join(vain...), remedies())
}

// newest returns this platform's newest bundle.
func newest(known []bundle) (b bundle, ok bool) {
	for _, k := range known {
		if k.Platform == platform() && (!ok || compareVersions(k.Version, b.Version) > 0) {
			b, ok = k, true
		}
	}
	return b, ok
}

// places is installed, except in tests of machines where nothing is.
var places = installed

// place is a folder that may hold a server.
type place struct{ dir, where string }

// installed returns the folders with a server, the one on PATH first, then where
// installers put them, newest first. Debian's PATH has the clients alone.
func installed() []place {
	var found []place
	add := func(dir, where string) {
		known := slices.ContainsFunc(found, func(p place) bool { return p.dir == dir })
		if !known && isProgram(binaries{Dir: dir}.path("postgres")) {
			found = append(found, place{dir, where})
		}
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil && isProgram(binaries{Dir: filepath.Dir(real)}.path("initdb")) {
			path = real // Homebrew's, and those of whoever links the server alone
		}
		if path, err = filepath.Abs(path); err == nil {
			add(filepath.Dir(path), "on PATH")
		}
	}
	for _, usual := range usualPlaces() {
		dirs, _ := filepath.Glob(usual.dir) // the patterns are ours, and good
		slices.SortFunc(dirs, func(a, b string) int { return compareVersions(b, a) })
		for _, dir := range dirs {
			add(dir, usual.where)
		}
	}
	return found
}

func usualPlaces() []place {
	switch runtime.GOOS {
	case "windows":
		var all []place
		for _, variable := range []string{"ProgramFiles", "ProgramW6432"} {
			if root := os.Getenv(variable); root != "" {
				all = append(all, place{filepath.Join(root, "PostgreSQL", "*", "bin"), "where the Windows installer puts it"})
			}
		}
		return all
	case "darwin":
		return []place{
			{"/opt/homebrew/opt/postgresql*/bin", "where Homebrew puts it"},
			{"/usr/local/opt/postgresql*/bin", "where Homebrew puts it"},
			{"/Applications/Postgres.app/Contents/Versions/*/bin", "where Postgres.app puts it"},
			{"/Library/PostgreSQL/*/bin", "where the installer of EDB puts it"},
		}
	}
	return []place{
		{"/usr/lib/postgresql/*/bin", "where Debian puts it"},
		{"/usr/pgsql-*/bin", "where the packages of postgresql.org for Fedora and RHEL put it"},
		{"/usr/libexec/postgresql*", "where Alpine puts it"},
		{"/usr/lib/postgresql*/bin", "where openSUSE puts it"},
		{"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin", "where Homebrew puts it"},
		{"/usr/local/pgsql/bin", "where its own makefile puts it"},
	}
}

var digits = regexp.MustCompile(`[0-9]+`)

// compareVersions compares the numbers in versions, or in paths that differ in
// them, such as /usr/lib/postgresql/15/bin: 17.10 comes after 17.9.
func compareVersions(a, b string) int {
	numbers := func(text string) (all []int) {
		for _, word := range digits.FindAllString(text, -1) {
			n, _ := strconv.Atoi(word)
			all = append(all, n)
		}
		return all
	}
	return slices.Compare(numbers(a), numbers(b))
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

var says = regexp.MustCompile(`^postgres \(PostgreSQL\) ((\d+)\S*)`)

// examine asks the server in dir for its version, as the user who will run it. So a
// folder that this user may not enter, or binaries of another machine, are found here.
func examine(ctx context.Context, dir, where string, as *account) (binaries, error) {
	b := binaries{Dir: dir, Where: where, Account: as}
	for _, program := range []string{"postgres", "initdb"} {
		if path := b.path(program); !isProgram(path) {
			return b, fmt.Errorf("%s is no program", path)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.path("postgres"), "--version")
	cmd.Dir, cmd.Env, cmd.WaitDelay = filepath.VolumeName(dir)+string(filepath.Separator), serverEnv(), time.Second
	runAs(cmd, as)
	out, err := cmd.CombinedOutput()
	if err != nil {
		user := ""
		if as != nil {
			user = " as user " + as.Name
		}
		return b, fmt.Errorf("%s --version%s: %w%s", cmd.Path, user, err, indented(lastLine(out)))
	}
	m := says.FindStringSubmatch(string(out))
	if m == nil {
		return b, fmt.Errorf("%s does not say its version, but %q", cmd.Path, lastLine(out))
	}
	b.Version, b.Full = m[1], strings.TrimSpace(string(out))
	if major, err := strconv.Atoi(m[2]); err != nil || major < oldest {
		return b, fmt.Errorf("%s is of version %s, and %d or newer is needed", cmd.Path, b.Version, oldest)
	}
	return b, nil
}

// serverEnv is what the server's programs get of our environment: nothing that
// configures them behind our back (PGDATA, LC_MESSAGES), nor anybody's secrets.
func serverEnv() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"} // on macOS a server without a locale refuses to start
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SystemRoot", "SystemDrive", "TEMP", "TMP", "ComSpec"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

func indented(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// remedies is layer 5: what to do on this machine.
func remedies() string {
	return "Do one of these:\n  - " + InstallPostgres() +
		"\n  - set DATABASE_URL to a PostgreSQL that runs, as postgres://user:password@host:5432/name"
}

// InstallPostgres is the command that installs a PostgreSQL on this system.
func InstallPostgres() string {
	switch runtime.GOOS {
	case "windows":
		return "winget install PostgreSQL.PostgreSQL.17"
	case "darwin":
		return "brew install postgresql@17"
	}
	return "sudo apt-get install postgresql (or your system's package of the server)"
}
