package backing

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	superuser    = "postgres"
	folderPrefix = "from-click-to-code-postgres-"
	lockName     = "from-click-to-code.lock"
	// slow is how long a cluster may take to start, whatever the caller allows: a
	// laptop that is compiling takes seconds for initdb.
	slow = 2 * time.Minute
)

// initdbGrace is how long initdb may go on after its caller has left: a second
// would do, were the machine not busy.
const initdbGrace = 10 * time.Second

// postgresJob is what a cluster is made of.
type postgresJob struct {
	Binaries binaries
	Addr     string // a port of 0: any
	DataDir  string // "": a new folder in Dir, removed at the end
	Dir      string
	CacheDir string // "": none
	Settings map[string]string

	InitdbGrace, Patience time.Duration
}

// A cluster is a server with the folder it works in:
//
//	from-click-to-code.lock  held by whoever runs it, and by the server's processes
//	unfinished               there until the cluster was ready for the first time
//	password                 of the superuser
//	log                      what the server says
//	data                     PostgreSQL's own
type cluster struct {
	postgresJob
	process
	folder   string
	lock     *os.File
	notes    []string
	password string
	copied   bool // from a template

	url, addr string
	signal    func(shutdown) error
}

func (c *cluster) report() report {
	return report{URL: c.url, Addr: c.addr, PID: c.pid, Notes: c.notes}
}

func (c *cluster) data() string         { return filepath.Join(c.folder, "data") }
func (c *cluster) passwordFile() string { return filepath.Join(c.folder, "password") }
func (c *cluster) unfinished() string   { return filepath.Join(c.folder, "unfinished") }
func (c *cluster) logFile() string      { return filepath.Join(c.folder, "log") }
func (c *cluster) throwaway() bool      { return c.DataDir == "" }

// newCluster makes the folder and starts the server: see job's start.
func newCluster(ctx context.Context, j postgresJob) (_ *cluster, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, slow, fmt.Errorf("PostgreSQL did not start within %v", slow))
	defer cancel()
	c := &cluster{postgresJob: j}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop(immediate))
		}
	}()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	if c.finished() {
		password, err := os.ReadFile(c.passwordFile())
		if err != nil {
			return nil, fmt.Errorf("there is data in %s, and no password to it: %w", c.folder, err)
		}
		c.password = string(password)
		c.forget()
		return c, c.explain(c.start(ctx))
	}
	if err := os.WriteFile(c.unfinished(), nil, 0o600); err != nil {
		return nil, err
	}
	for _, fresh := range []bool{false, true} {
		memory := leftMemory(c.folder)
		if err := os.RemoveAll(c.data()); err != nil { // of one that was never finished
			return nil, err
		}
		memory()
		if err := c.make(ctx, fresh); err != nil {
			return nil, c.explain(err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err = c.start(ctx); err == nil {
			if err := c.changePassword(ctx); err != nil {
				return nil, err
			}
			return c, os.Remove(c.unfinished())
		}
		if ctx.Err() != nil || errors.Is(err, errAddressInUse) || !c.copied || strings.Contains(err.Error(), "parameter") {
			break // the last: one of Settings is to blame
		}
		// Perhaps the template was damaged, by a power failure. Another one is made, once.
	}
	return nil, c.explain(err)
}

// forget removes what a killed server has left of itself, its process's number first
// of all: that may be another's by now, in a container it often is, and the new server
// would believe that the former one runs. But nobody does whose lock we hold.
func (c *cluster) forget() {
	if runtime.GOOS == "windows" { // where the server's processes do not share the lock
		return
	}
	memory := leftMemory(c.folder)
	_ = os.Remove(filepath.Join(c.data(), "postmaster.pid"))
	memory()
}

// finished reports whether there is data that somebody may rely on. What was left
// half made, by a process that was killed, is made anew.
func (c *cluster) finished() bool {
	_, dataErr := os.Lstat(c.data())
	_, err := os.Lstat(c.unfinished())
	return dataErr == nil && errors.Is(err, fs.ErrNotExist)
}

// open makes the folder and takes its lock.
func (c *cluster) open(ctx context.Context) (err error) {
	c.folder = c.DataDir
	sweepKept()
	if c.throwaway() {
		sweep(c.Dir)
		if c.folder, err = os.MkdirTemp(c.Dir, folderPrefix); err != nil {
			return err
		}
	} else if err := c.keep(); err != nil {
		return err
	}
	if c.Binaries.Account != nil { // who must get through to the data, and sees nothing else
		if err := os.Chmod(c.folder, 0o711); err != nil {
			return err
		}
	}
	if c.lock, err = os.OpenFile(filepath.Join(c.folder, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	// The server's processes share the lock, so whoever gets it is alone with the
	// data, even if the former server was killed a moment ago.
	wait, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := lockFile(wait, c.lock, true); err != nil {
		c.lock.Close()
		c.lock = nil
		return fmt.Errorf("the folder %s is in use by another server: %w", c.folder, err)
	}
	return nil
}

// keep makes the folder that is kept, or sees to it that what is there is ours: it
// is not another's to be written into.
func (c *cluster) keep() error {
	if c.Binaries.Account != nil { // who must get through the folders above as well
		if err := os.MkdirAll(filepath.Dir(c.folder), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.folder, 0o700); err != nil {
		return err
	}
	inside, err := os.ReadDir(c.folder)
	if err != nil {
		return err
	}
	for _, e := range inside {
		if e.Name() == lockName {
			return nil
		}
	}
	if len(inside) > 0 {
		return fmt.Errorf("the folder %s holds something else (%s): name a new or empty one", c.folder, inside[0].Name())
	}
	return nil
}

// retryLock tries to get a lock, at least once, until ctx ends.
func retryLock(ctx context.Context, try func() (taken bool, err error)) error {
	for {
		taken, err := try()
		if err == nil || !taken {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// sweep removes what others left in dir when they were killed together with their
// supervisor: folders of ours whose lock nobody holds.
func sweep(dir string) {
	folders, _ := filepath.Glob(filepath.Join(dir, folderPrefix+"*"))
	for _, folder := range folders {
		info, err := os.Lstat(folder)
		if err != nil || !info.IsDir() || !ours(info) || time.Since(info.ModTime()) < time.Minute {
			continue // the youngest may be about to take their lock
		}
		reclaim(folder)
	}
}

// sweepKept removes the clusters that DataDir has named for state that is gone.
func sweepKept() {
	if sharedClusters() == "" {
		return
	}
	folders, _ := filepath.Glob(filepath.Join(sharedClusters(), "%*"))
	for _, folder := range folders {
		state, err := url.PathUnescape(filepath.Base(folder))
		if err != nil {
			continue
		}
		if _, err := os.Lstat(state); errors.Is(err, fs.ErrNotExist) {
			reclaim(folder)
		}
	}
}

// reclaim removes a folder of ours whose lock nobody holds.
func reclaim(folder string) {
	lock, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR, 0)
	if err != nil {
		return
	}
	free, cancel := context.WithCancel(context.Background())
	cancel() // now or never
	err = lockFile(free, lock, true)
	lock.Close() // or Windows would not remove it
	if err != nil {
		return
	}
	memory := leftMemory(folder)
	_ = os.RemoveAll(folder) // the next one tries again
	memory()
}

// make makes the data: a copy of what initdb once made, or fresh by initdb, of
// which it keeps a copy.
func (c *cluster) make(ctx context.Context, fresh bool) error {
	key := sha256.Sum256([]byte(strings.Join(slices.Concat(initdbArgs, []string{c.Binaries.Full, c.Binaries.Dir}), "\x00")))
	cache := c.CacheDir
	var template string
	if cache != "" {
		cache = filepath.Join(cache, "postgresql")
		template = filepath.Join(cache, fmt.Sprintf("template-%s-%s-%s-%x", c.Binaries.Version, runtime.GOOS, runtime.GOARCH, key[:6]))
		if err := os.MkdirAll(cache, 0o755); err != nil {
			c.note("no folder for a template: %v", err)
			template = ""
		}
	}
	if template == "" {
		return c.initdb(ctx)
	}
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		c.note("no template: %v", err)
		return c.initdb(ctx)
	}
	defer lock.Close()

	// Many may copy at once, but one alone makes the template, and others wait for
	// it: six initdb at once would take longer than one and five copies.
	if !fresh {
		if err := lockFile(ctx, lock, false); err != nil {
			return err
		}
		if err := c.copyTemplate(template); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := lockFile(ctx, lock, true); err != nil {
		return err
	}
	if fresh {
		if err := os.RemoveAll(template); err != nil {
			return err
		}
	} else if err := c.copyTemplate(template); !errors.Is(err, fs.ErrNotExist) {
		return err // made by another one meanwhile
	}
	began := time.Now()
	if err := c.initdb(ctx); err != nil {
		return err
	}
	prune(cache)
	if err := c.saveTemplate(template); err != nil {
		c.note("no template was kept: %v", err) // a full disk, say: this cluster is complete without it
	} else {
		c.note("initdb took %v; its result is kept in %s", time.Since(began).Round(10*time.Millisecond), template)
	}
	return nil
}

// initdbArgs is what each cluster is made with. A cluster that is kept by name may
// have been made by another version of this package.
var initdbArgs = []string{
	"--username=" + superuser, "--auth=scram-sha-256",
	"--encoding=UTF8", "--locale=C", "--no-sync",
	"--wal-segsize=1", // or each copy has 16 MB of log more
}

// initdb makes the data, and a password.
func (c *cluster) initdb(ctx context.Context) error {
	if err := c.mkdirData(); err != nil {
		return err
	}
	c.password, c.copied = rand.Text(), false
	secret := filepath.Join(c.folder, "initdb-password")
	if err := os.WriteFile(secret, []byte(c.password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(secret)
	as := c.Binaries.Account
	if as != nil {
		if err := os.Lchown(secret, int(as.UID), int(as.GID)); err != nil {
			return err
		}
	}
	// In the middle of its work it cannot clean up, and would leave shared memory that
	// nobody finds. It is nearly done, and its result is kept for the next one.
	patient, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(c.InitdbGrace, kill) })()
	cmd := exec.CommandContext(patient, c.Binaries.path("initdb"), slices.Concat(initdbArgs, []string{"--pgdata=" + c.data(), "--pwfile=" + secret})...)
	cmd.Dir, cmd.Env = c.folder, serverEnv()
	runAs(cmd, as)
	leadGroup(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		if patient.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("initdb: %w%s", err, indented(strings.TrimSpace(string(out))))
	}
	return nil
}

func (c *cluster) mkdirData() error {
	if err := os.Mkdir(c.data(), 0o700); err != nil {
		return err
	}
	return c.own(c.data())
}

// own gives a file to whom the server runs as.
func (c *cluster) own(path string) error {
	if as := c.Binaries.Account; as != nil {
		return os.Lchown(path, int(as.UID), int(as.GID))
	}
	return nil
}

// copyTemplate makes the data from the template. It is an error that wraps
// fs.ErrNotExist where there is none.
func (c *cluster) copyTemplate(template string) error {
	password, err := os.ReadFile(filepath.Join(template, "password"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(c.data(), 0o700); err != nil {
		return err
	}
	if err := copyTree(c.data(), filepath.Join(template, "data"), c.own); err != nil {
		return fmt.Errorf("copy %s: %v", template, err) // never as "there is none"
	}
	c.password, c.copied = string(password), true
	now := time.Now()
	_ = os.Chtimes(template, now, now) // for prune
	return nil
}

// saveTemplate keeps a copy of data that no server has run on yet. What is there
// under its name is complete.
func (c *cluster) saveTemplate(template string) error {
	half, err := os.MkdirTemp(filepath.Dir(template), "half-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(half)
	if err := os.Mkdir(filepath.Join(half, "data"), 0o700); err != nil {
		return err
	}
	if err := copyTree(filepath.Join(half, "data"), c.data(), nil); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(half, "password"), []byte(c.password), 0o600); err != nil {
		return err
	}
	return os.Rename(half, template)
}

// prune removes templates that nobody has used for a month, and halves of those
// who were killed. The caller holds the lock.
func prune(cache string) {
	old, _ := filepath.Glob(filepath.Join(cache, "template-*"))
	halves, _ := filepath.Glob(filepath.Join(cache, "half-*"))
	for _, dir := range append(old, halves...) {
		info, err := os.Stat(dir)
		if err == nil && (slices.Contains(halves, dir) || time.Since(info.ModTime()) > 30*24*time.Hour) {
			_ = os.RemoveAll(dir)
		}
	}
}

// copyTree fills the folder dst with what is in src. One of them may belong to
// another user, so nothing is followed that leads out of them: os.Root sees to it.
// own, if it is not nil, is called for all that was made, dst itself last: until
// then nobody else can get in.
func copyTree(dst, src string, own func(path string) error) error {
	from, err := os.OpenRoot(src)
	if err != nil {
		return err
	}
	defer from.Close()
	if own == nil {
		own = func(string) error { return nil }
	}
	buf := make([]byte, 256<<10)
	err = fs.WalkDir(from.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		target := filepath.Join(dst, filepath.FromSlash(path))
		switch {
		case d.IsDir():
			if err := os.Mkdir(target, 0o700); err != nil {
				return err
			}
		case d.Type().IsRegular():
			if err := copyFile(target, from, path, buf); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither a file nor a folder", path)
		}
		return own(target)
	})
	if err != nil {
		return err
	}
	return own(dst)
}

func copyFile(target string, from *os.Root, path string, buf []byte) error {
	in, err := from.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// Through a buffer: Linux's copy_file_range took three times as long here, for
	// these thousand small files.
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, buf)
	return errors.Join(err, out.Close())
}

// start starts the server on data that is there, and returns when it answers.
func (c *cluster) start(ctx context.Context) error {
	return listen(ctx, c.Addr, c.Patience, c.launch)
}

func (c *cluster) launch(ctx context.Context, host, port string) error {
	settings := map[string]string{
		"listen_addresses":        host,
		"port":                    port,
		"unix_socket_directories": "",

		// Nothing outlives a power failure here, so nothing waits for the disk. But
		// commits still wait for the log: after a kill -9 they are there.
		"fsync":              "off",
		"full_page_writes":   "off",
		"synchronous_commit": "on",

		// Many of these servers run at once beside a compiler.
		"shared_buffers":  "16MB",
		"max_connections": "100",
		"max_wal_size":    "256MB",
		"min_wal_size":    "16MB",
		"wal_level":       "minimal",
		"max_wal_senders": "0",
		"jit":             "off",

		"timezone":          "UTC",
		"log_timezone":      "UTC",
		"logging_collector": "off",
	}
	if runtime.GOOS != "windows" {
		settings["dynamic_shared_memory_type"] = "mmap" // in the folder, which is removed: a killed server leaves nothing in /dev/shm
	}
	for name, value := range c.Settings {
		settings[name] = value
	}
	var args []string
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	said := c.logSize()
	wait, err := c.exec(args)
	if err != nil {
		return err
	}
	asking, hangUp := context.WithCancel(ctx)
	defer hangUp()
	c.watch(func() error {
		defer hangUp() // on whoever else has the port, and may say nothing
		return wait()
	})
	c.addr = net.JoinHostPort(host, port)
	c.url = databaseURL(c.addr, c.password)
	for {
		err := c.query(asking, "SHOW data_directory", filepath.ToSlash(c.data()))
		if err == nil {
			return nil
		}
		final := !starting(err)
		pause := 3 * time.Millisecond
		if final { // but if the port is another server's, ours is about to end, and says why
			pause = time.Second
		}
		select {
		case <-c.ended:
			log := c.logFrom(said)
			if strings.Contains(log, "could not bind") {
				return fmt.Errorf("%w: %s%s", errAddressInUse, c.addr, indented(log))
			}
			return fmt.Errorf("PostgreSQL does not start: %v%s", c.exit, indented(log))
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), c.halt(immediate))
		case <-time.After(pause):
		}
		if final {
			return errors.Join(fmt.Errorf("PostgreSQL does not answer: %w", err), c.halt(immediate))
		}
	}
}

// query runs a statement, and wants this answer to it.
func (c *cluster) query(ctx context.Context, statement, want string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	got, err := ask(ctx, c.url, statement)
	if err != nil {
		return err
	}
	if got != want && !(runtime.GOOS == "windows" && strings.EqualFold(got, want)) {
		return fmt.Errorf("another server answers at %s: %s is %q there and not %q", c.addr, statement, got, want)
	}
	return nil
}

// changePassword gives the cluster a password of its own: that of the template is
// every cluster's.
func (c *cluster) changePassword(ctx context.Context) error {
	password := rand.Text()
	if err := c.query(ctx, "ALTER ROLE "+superuser+" PASSWORD '"+password+"'", ""); err != nil {
		return err
	}
	c.password, c.url = password, databaseURL(c.addr, password)
	half := c.passwordFile() + ".half" // KeptURL reads all of it or nothing
	if err := os.WriteFile(half, []byte(password), 0o600); err != nil {
		return err
	}
	return os.Rename(half, c.passwordFile())
}

// halt stops the server's process, if there is one, and waits for it.
func (c *cluster) halt(how shutdown) error {
	if c.ended == nil {
		return nil
	}
	var err error
	for ; how <= kill; how++ {
		select {
		case <-c.ended:
			return nil
		default:
		}
		err = c.signal(how)
		select {
		case <-c.ended:
			return nil
		case <-time.After(8 * time.Second): // a stopped process, or a disk that hangs
		}
	}
	return fmt.Errorf("PostgreSQL (process %d) does not end: %w", c.pid, errors.Join(err, errors.New("killed in vain")))
}

// stop stops the server, and removes the folder if it is to be thrown away.
func (c *cluster) stop(how shutdown) error {
	if c.throwaway() {
		how = immediate // nobody will read what it would write down
	}
	err := c.halt(how)
	if c.lock != nil {
		c.lock.Close()
	}
	if c.throwaway() && c.folder != "" {
		err = errors.Join(err, removeAll(c.folder))
	}
	return err
}

// removeAll removes a folder whose last users may be about to end: after the
// server's process was killed, its children notice within moments.
func removeAll(folder string) error {
	memory := leftMemory(folder)
	var err error
	for range 100 {
		if err = os.RemoveAll(folder); err == nil {
			memory()
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

func (c *cluster) ending() string { return c.how(c.logFrom(0)) }

func (c *cluster) logSize() int64 {
	info, err := os.Stat(c.logFile())
	if err != nil {
		return 0
	}
	return info.Size()
}

// logFrom returns the last lines of what the server has said from an offset on.
func (c *cluster) logFrom(offset int64) string {
	const much = 2 << 10
	f, err := os.Open(c.logFile())
	if err != nil {
		return ""
	}
	defer f.Close()
	text, _ := io.ReadAll(io.NewSectionReader(f, max(offset, c.logSize()-much), much))
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-6):], []byte("\n")))
}

// explain adds what an error of the server cannot know: that its user may not get in.
func (c *cluster) explain(err error) error {
	as := c.Binaries.Account
	if err == nil || as == nil || c.mayEnter() {
		return err
	}
	return fmt.Errorf("user %s, as whom PostgreSQL runs, may not enter %s: choose a folder below one that everybody may enter, such as /tmp, or allow it (chmod a+x on each folder above): %w", as.Name, c.folder, err)
}

func (c *cluster) mayEnter() bool {
	cmd := exec.Command(c.Binaries.path("postgres"), "--version")
	cmd.Dir, cmd.Env = c.folder, serverEnv()
	runAs(cmd, c.Binaries.Account)
	return cmd.Run() == nil
}

func (c *cluster) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func pidFromFile(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}
