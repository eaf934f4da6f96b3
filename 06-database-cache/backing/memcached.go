package backing

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"clicktocode.example/06-database-cache/memcached"
)

// ErrNoMemcached says that this machine has no memcached that could be used, and
// that the embedded server was not wanted. What wraps it says what to do about it.
var ErrNoMemcached = errors.New("backing: no memcached found")

// MemcachedConfig says which memcached to take. The zero value takes one that is
// installed, and else the embedded server, on a free port of 127.0.0.1.
//
// Servers, Bin and Embedded ask for one certain thing: the first that is set is
// used, and where that fails, nothing else is tried.
type MemcachedConfig struct {
	// Servers run already: what MEMCACHED_SERVERS holds, cut at its commas. Each is a
	// host with a port (11211 where there is none), or the path of a Unix socket. They
	// are asked for their version. One that does not answer is taken all the same, and
	// Took says so: a cache that is down must not keep the service from starting. One
	// that answers with anything else is an error: that is no memcached.
	Servers []string
	// Bin is memcached's program, to be started.
	Bin string
	// Embedded takes the embedded server, whatever is installed.
	Embedded bool
	// NoEmbedded refuses it where no memcached is installed, or none that starts.
	NoEmbedded bool

	// Addr is where a started server listens: a loopback address with a port, such as
	// "127.0.0.1:11311". OpenMemcached with the same address, once the former server
	// is gone, leads to an empty cache there; memcached waits for that, for 5 s. Empty
	// means 127.0.0.1 and a free port.
	Addr string
	// MaxBytes is the room for items of a started server. memcached counts in MiB, so
	// it is rounded up. Zero means 64 MiB.
	MaxBytes int64

	// Log gets what was tried in vain. Nil means nowhere.
	Log *slog.Logger

	patience time.Duration // 0: the constant of this name. Set by tests alone
}

// Memcached is a cache that can be used. Its methods may be called at once.
type Memcached struct {
	// Servers are where it is, as memcache.New takes them.
	Servers []string
	// Took says in one line what was taken, and why.
	Took string
	// PID is the process that was started, or 0 where none was. It is there to be
	// killed in trials.
	PID int

	close, wait func() error
}

// OpenMemcached finds a memcached or starts one, and returns once it answers. ctx
// bounds that alone: what was started lasts until Close, or the end of the process.
func OpenMemcached(ctx context.Context, c MemcachedConfig) (*Memcached, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("backing: memcached: %w", context.Cause(ctx))
	}
	if len(c.Servers) > 0 {
		return c.given(ctx)
	}
	if c.Embedded {
		return c.embedded("asked for")
	}
	if c.Bin != "" {
		return c.program(ctx, c.Bin, "asked for by its path")
	}
	path, where, err := findMemcached()
	if err == nil {
		var m *Memcached
		if m, err = c.program(ctx, path, "installed: "+where); err == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	if c.NoEmbedded {
		return nil, fmt.Errorf("%w: %w", ErrNoMemcached, err)
	}
	c.Log.Info("backing: memcached passed over", "error", err)
	return c.embedded(strings.Join(strings.Fields(err.Error()), " "))
}

func (c *MemcachedConfig) validate() error {
	var faults []error
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if addr, err := netip.ParseAddrPort(c.Addr); err != nil || !addr.Addr().IsLoopback() {
		// memcached asks nobody for a password.
		faults = append(faults, fmt.Errorf("backing: memcached: the address %q is no loopback address with a port, such as 127.0.0.1:11311", c.Addr))
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 64 << 20
	}
	if c.MaxBytes < 1<<21 {
		faults = append(faults, fmt.Errorf("backing: memcached: MaxBytes is %d, and memcached needs 2 MiB", c.MaxBytes))
	}
	servers := make([]string, 0, len(c.Servers))
	for _, server := range c.Servers {
		server = strings.TrimSpace(server)
		switch host, port, err := net.SplitHostPort(server); {
		case strings.Contains(server, "/"): // a Unix socket
		case err == nil && host != "" && port != "":
		case err != nil && server != "" && !strings.Contains(server, ":"):
			server = net.JoinHostPort(server, "11211")
		default:
			faults = append(faults, fmt.Errorf("backing: memcached: %q in MEMCACHED_SERVERS is neither host:port nor a path", server))
		}
		servers = append(servers, server)
	}
	c.Servers = servers
	return errors.Join(faults...)
}

// Close stops the server that was started, and returns when it has ended. Servers
// that ran already go on. More calls return what the first one did.
func (m *Memcached) Close() error { return m.close() }

// Wait returns when the server that was started has ended: nil after Close, and an
// error that says how where it ended by itself or was killed. For servers that ran
// already Wait returns nil at once.
func (m *Memcached) Wait() error { return m.wait() }

// given is layer 1.
func (c MemcachedConfig) given(ctx context.Context) (*Memcached, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	said, errs := make([]string, len(c.Servers)), make([]error, len(c.Servers))
	var asked sync.WaitGroup
	for i, server := range c.Servers {
		asked.Go(func() {
			version, err := askMemcached(ctx, server, "version")
			switch {
			case errors.Is(err, errNoMemcached):
				errs[i] = fmt.Errorf("backing: memcached: %s, of which MEMCACHED_SERVERS says that it is one, %w", server, err)
			case err != nil:
				c.Log.Warn("backing: memcached does not answer", "server", server, "error", err)
				said[i] = server + " (which does not answer now)"
			default:
				said[i] = fmt.Sprintf("%s (version %s)", server, version)
			}
		})
	}
	asked.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	nothing := func() error { return nil }
	return &Memcached{
		Servers: c.Servers,
		Took:    "memcached that runs at " + strings.Join(said, ", ") + ": MEMCACHED_SERVERS says so",
		close:   nothing, wait: nothing,
	}, nil
}

// program is layer 2.
func (c MemcachedConfig) program(ctx context.Context, path, where string) (*Memcached, error) {
	path, err := filepath.Abs(path) // the supervisor works in a folder of its own
	if err != nil {
		return nil, fmt.Errorf("backing: memcached: %w", err)
	}
	as, err := memcachedAccount()
	if err != nil {
		return nil, err
	}
	mebibytes := (c.MaxBytes + 1<<20 - 1) >> 20
	r, err := run(ctx, os.TempDir(), job{Memcached: &memcachedJob{
		Path: path, Account: as, Addr: c.Addr, Mebibytes: mebibytes, Patience: cmp.Or(c.patience, patience),
	}})
	if err != nil {
		return nil, fmt.Errorf("backing: memcached: %s: %w", path, err)
	}
	by := ""
	if as != nil {
		by = ", as user " + as.Name
	}
	return &Memcached{
		Servers: []string{r.started.Addr},
		Took:    fmt.Sprintf("memcached %s from %s (%s): a private one on %s with %d MiB%s", r.started.Version, path, where, r.started.Addr, mebibytes, by),
		PID:     r.started.PID,
		close:   r.close, wait: r.wait,
	}, nil
}

// embedded is layer 3.
func (c MemcachedConfig) embedded(why string) (*Memcached, error) {
	s, err := memcached.New(memcached.Config{MaxBytes: c.MaxBytes, Log: c.Log})
	if err != nil {
		return nil, fmt.Errorf("backing: %w", err)
	}
	ln, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("backing: the embedded server of memcached's protocol: %w", err)
	}
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ln); !errors.Is(err, memcached.ErrServerClosed) {
			failed = fmt.Errorf("backing: %w", err)
		}
	}()
	wait := func() error {
		<-ended
		return failed
	}
	return &Memcached{
		Servers: []string{ln.Addr().String()},
		Took:    fmt.Sprintf("the embedded server of memcached's protocol, on %s with %d MiB: %s", ln.Addr(), c.MaxBytes>>20, why),
		close:   func() error { return errors.Join(s.Close(), wait()) },
		wait:    wait,
	}, nil
}

// findMemcached returns where memcached is installed, and how that place is called.
func findMemcached() (path, where string, err error) {
	if path, err := exec.LookPath("memcached"); err == nil {
		return path, "on PATH", nil
	}
	for _, usual := range memcachedPlaces {
		if path := filepath.Join(usual.dir, "memcached"); runtime.GOOS != "windows" && isProgram(path) {
			return path, usual.where, nil
		}
	}
	return "", "", errors.New("no memcached is installed (" + InstallMemcached() + ")")
}

// memcachedPlaces is a variable for tests.
var memcachedPlaces = []place{
	{"/opt/homebrew/bin", "where Homebrew puts it"},
	{"/usr/local/bin", "where Homebrew puts it"},
	{"/home/linuxbrew/.linuxbrew/bin", "where Homebrew puts it"},
	{"/usr/bin", "where Debian puts it"},
}

// InstallMemcached is the command that installs memcached on this system.
func InstallMemcached() string {
	switch runtime.GOOS {
	case "windows":
		return "there is none for Windows; in WSL: sudo apt-get install memcached"
	case "darwin":
		return "brew install memcached"
	}
	return "sudo apt-get install memcached"
}

// memcachedAccount returns whom a server runs as: nil for ourselves. A cache needs
// none of root's rights, and memcached refuses to run as root.
func memcachedAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"memcache", "memcached", "_memcached", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &account{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
		}
	}
	return nil, errors.New("backing: memcached refuses to run as root, and there is no user memcache or nobody to run it as")
}

// errNoMemcached is that something answers, but not as memcached does.
var errNoMemcached = errors.New("does not answer as memcached does")

var memcachedReplies = map[string]*regexp.Regexp{
	"version": regexp.MustCompile(`^VERSION (\S+).*\r\n$`),
	"stats":   regexp.MustCompile(`^STAT pid (\d+)\r\n$`),
}

// askMemcached asks a server for its "version", or by "stats" for its process.
func askMemcached(ctx context.Context, server, command string) (string, error) {
	network := "tcp"
	if strings.Contains(server, "/") {
		network = "unix"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReaderSize(conn, 128).ReadSlice('\n')
	m := memcachedReplies[command].FindSubmatch(line)
	switch {
	case m != nil:
		return string(m[1]), nil
	case len(line) > 0:
		return "", fmt.Errorf("%w: %.40q", errNoMemcached, line)
	}
	return "", err
}
