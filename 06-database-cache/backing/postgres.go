package backing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/lib/pq"
)

// ErrNoPostgres says that this machine has no PostgreSQL that could be used. What
// wraps it says why not, layer by layer, and what to do about it.
var ErrNoPostgres = errors.New("backing: no PostgreSQL found")

// PostgresConfig says which PostgreSQL to take. The zero value takes the best that
// it finds: a server's binaries that are installed, then a bundle of them from
// CacheDir, then one that is downloaded into it. Of these a private cluster is
// started, for this process alone, and thrown away at the end.
//
// URL, Bin and Bundle ask for one certain thing: the first that is set is used, and
// where that fails, nothing else is tried.
type PostgresConfig struct {
	// URL leads to a server that runs already, as pq takes it: what DATABASE_URL
	// holds. It is used as it is, once it has answered.
	URL string
	// Bin is the folder with the server's binaries: postgres and initdb.
	Bin string
	// Bundle is a file or an http or https URL: the binaries, as embedded-postgres
	// packs them (a jar or zip with a .txz in it, or that alone). Its SHA-256 must be
	// one that this package knows, or stand behind it as in "bundle.jar#sha256=HEX".
	Bundle string
	// NoDownload refuses whatever comes over the network.
	NoDownload bool

	// Addr is where the cluster listens: a loopback address with a port, such as
	// "127.0.0.1:5433". One that is taken is waited for, for 5 s: the former server
	// there may be about to end. Empty means 127.0.0.1 and a free port.
	Addr string
	// DataDir is the cluster's folder, which is kept: OpenPostgres with the same one,
	// once the former server is gone (it waits for that, for 15 s), leads to the same
	// data with the same password: see KeptURL and the function DataDir. Whatever was committed is there again, even after a kill -9 of everything (though
	// not after a power failure: fsync is off). It is made where it is missing; if it is
	// there, it is empty or was made by this package. The user whom root's server runs
	// as must be able to enter the folders above it. Empty means a new folder, removed
	// at the end.
	DataDir string
	// Dir is where that new folder is made, of 30 MB and what is written later. Empty
	// means memory where there is plenty (Linux's /dev/shm, with 1 GB free), and
	// os.TempDir() elsewhere.
	Dir string
	// CacheDir keeps bundles, and initdb's result, which it takes a second to make.
	// Empty means the folder "from-click-to-code" in the user's cache folder; for root,
	// in the system's.
	CacheDir string
	// Settings are more of postgresql.conf's: {"max_connections": "20"}. They win over
	// this package's own.
	Settings map[string]string

	// Log gets what takes long (a download and its size) and what was tried in vain.
	// Nil means nowhere.
	Log *slog.Logger

	initdbGrace, patience time.Duration // 0: the constants of these names. Set by tests alone
}

// Postgres is a PostgreSQL that can be used. Its methods may be called at once.
type Postgres struct {
	// URL leads to it, with the password, as pq and psql take it.
	URL string
	// Took says in one line what was taken, and why. It holds no password.
	Took string
	// PID is the process of the server that was started, or 0 for one that ran
	// already. It is there to be killed in trials.
	PID int

	server *running // nil: it ran already
}

// OpenPostgres finds a PostgreSQL or starts one, and returns once it answers. ctx
// bounds that alone: what was started lasts until Close, or the end of the process.
// When ctx ends, OpenPostgres returns once all is undone, which takes moments, but a
// second or so the first time, when initdb runs.
//
// It is an error that wraps ErrNoPostgres where there is none; any other error says
// that something is there and does not work.
func OpenPostgres(ctx context.Context, c PostgresConfig) (*Postgres, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("backing: PostgreSQL: %w", context.Cause(ctx))
	}
	if c.URL != "" {
		return c.existing(ctx)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	bin, err := c.binaries(ctx)
	if err != nil {
		return nil, err
	}
	r, err := run(ctx, c.Dir, job{Postgres: &postgresJob{
		Binaries: bin,
		Addr:     c.Addr,
		DataDir:  c.DataDir,
		Dir:      c.Dir,
		CacheDir: c.CacheDir,
		Settings: c.Settings,

		InitdbGrace: cmp.Or(c.initdbGrace, initdbGrace),
		Patience:    cmp.Or(c.patience, patience),
	}})
	if err != nil {
		return nil, fmt.Errorf("backing: %s: %w", bin, err)
	}
	kind := "a throw-away cluster"
	if c.DataDir != "" {
		kind = "the cluster in " + c.DataDir
	}
	as := ""
	if bin.Account != nil {
		as = ", as user " + bin.Account.Name
	}
	for _, note := range r.started.Notes {
		c.Log.Info("backing: PostgreSQL", "note", note)
	}
	return &Postgres{
		URL:    r.started.URL,
		Took:   fmt.Sprintf("%s: %s on %s%s", bin, kind, r.started.Addr, as),
		PID:    r.started.PID,
		server: r,
	}, nil
}

// FindPostgres says what OpenPostgres would take, as Took does, and starts nothing.
// It downloads a bundle where that is all there is, unless NoDownload refuses it. A
// server at URL is not asked. The errors are OpenPostgres's.
func FindPostgres(ctx context.Context, c PostgresConfig) (took string, err error) {
	if c.URL != "" {
		address, err := c.address()
		if err != nil {
			return "", err
		}
		return "PostgreSQL at " + address + ": DATABASE_URL says so", nil
	}
	if err := c.validate(); err != nil {
		return "", err
	}
	bin, err := c.binaries(ctx)
	if err != nil {
		return "", err
	}
	return bin.String(), nil
}

// KeptURL is where the cluster that is kept in DataDir answers, while it runs: the
// URL that OpenPostgres returns with the same DataDir and Addr, for another process
// of the same user. It stays the same as long as the folder does, so it is asked for
// once. Addr must name a port. The error wraps fs.ErrNotExist as long as the cluster
// was never ready yet.
func (c PostgresConfig) KeptURL() (string, error) {
	if _, port, _ := net.SplitHostPort(c.Addr); c.DataDir == "" || port == "" || port == "0" {
		return "", fmt.Errorf("backing: PostgreSQL: only a cluster that is kept (DataDir is %q) at a certain port (Addr is %q) has a URL that lasts", c.DataDir, c.Addr)
	}
	if err := c.validate(); err != nil {
		return "", err
	}
	k := cluster{folder: c.DataDir}
	if _, err := os.Lstat(k.data()); err != nil || !k.finished() {
		return "", fmt.Errorf("backing: PostgreSQL: the cluster in %s was never ready yet: %w", c.DataDir, fs.ErrNotExist)
	}
	password, err := os.ReadFile(k.passwordFile())
	if err != nil {
		return "", fmt.Errorf("backing: PostgreSQL: %w", err)
	}
	return databaseURL(c.Addr, string(password)), nil
}

// DataDir returns the DataDir of whoever keeps its keys and state in a folder of that
// name: "postgres" in it. For root, whose server runs as a user who may not enter
// such a folder, it is one in the system's cache, and is removed by a later
// OpenPostgres when the state's folder is gone. It makes nothing.
func DataDir(state string) string {
	if clusters := sharedClusters(); clusters != "" {
		if abs, err := filepath.Abs(state); err == nil {
			return filepath.Join(clusters, url.PathEscape(abs))
		}
	}
	return filepath.Join(state, "postgres")
}

// Close stops the server that was started, and removes its folder unless that was
// asked for by name. It returns when both is done. A server that ran already goes
// on. More calls return what the first one did.
func (p *Postgres) Close() error {
	if p.server == nil {
		return nil
	}
	return p.server.close()
}

// Wait returns when the server that was started has ended: nil after Close, and an
// error with the end of its log where it ended by itself or was killed. Its folder
// is gone by then, unless it was asked for by name. For a server that ran already
// Wait returns nil at once.
func (p *Postgres) Wait() error {
	if p.server == nil {
		return nil
	}
	return p.server.wait()
}

// existing is layer 1.
func (c PostgresConfig) existing(ctx context.Context) (*Postgres, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // a host that swallows packets says nothing for minutes
	defer cancel()
	address, err := c.address()
	if err != nil {
		return nil, err
	}
	version, err := ask(ctx, c.URL, "SHOW server_version")
	if err != nil {
		return nil, fmt.Errorf("backing: PostgreSQL at %s, as DATABASE_URL says, does not answer: %w", address, err)
	}
	number, _, _ := strings.Cut(version, " ")
	return &Postgres{URL: c.URL, Took: fmt.Sprintf("PostgreSQL %s that runs at %s: DATABASE_URL says so", number, address)}, nil
}

// address is the host and port of the URL.
func (c PostgresConfig) address() (string, error) {
	where, err := pq.NewConfig(c.URL)
	if err != nil {
		// The parser's error may quote the URL, and with it the password.
		return "", errors.New("backing: PostgreSQL: the URL (DATABASE_URL) cannot be read: it looks like postgres://user:password@host:5432/name")
	}
	return net.JoinHostPort(where.Host, fmt.Sprint(where.Port)), nil
}

func (c *PostgresConfig) validate() error {
	var faults []error
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if addr, err := netip.ParseAddrPort(c.Addr); err != nil || !addr.Addr().IsLoopback() {
		faults = append(faults, fmt.Errorf("backing: PostgreSQL: the address %q is no loopback address with a port, such as 127.0.0.1:5433", c.Addr))
	}
	if c.Dir == "" {
		if c.Dir = memoryDir(); c.Dir == "" {
			c.Dir = os.TempDir()
		}
	}
	for _, dir := range []*string{&c.Dir, &c.DataDir, &c.CacheDir, &c.Bin} {
		if *dir == "" {
			continue
		}
		abs, err := filepath.Abs(*dir) // the supervisor works in a folder of its own
		if err != nil {
			faults = append(faults, fmt.Errorf("backing: PostgreSQL: %w", err))
		}
		*dir = abs
	}
	if c.CacheDir == "" {
		c.CacheDir = cacheDir()
	}
	return errors.Join(faults...)
}

const ourName = "from-click-to-code"

// cacheDir returns the folder that outlives processes, or "" where there is none.
func cacheDir() string {
	if shared := sharedCache(); shared != "" {
		return shared
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, ourName)
	}
	return ""
}

// sharedCache returns the cache of the system, for root: what is in root's own
// folders could not be run by another user. For others it is "".
func sharedCache() string {
	dir := map[string]string{"linux": "/var/cache", "darwin": "/Library/Caches"}[runtime.GOOS]
	if dir == "" || os.Geteuid() != 0 {
		return ""
	}
	return filepath.Join(dir, ourName)
}

// sharedClusters returns where DataDir puts root's clusters, or "".
func sharedClusters() string {
	if dir := sharedCache(); dir != "" {
		return filepath.Join(dir, "clusters")
	}
	return ""
}

// databaseURL is where a cluster's superuser finds its first database.
func databaseURL(addr, password string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, password),
		Host: addr, Path: "/" + superuser, RawQuery: "sslmode=disable",
	}
	return u.String()
}
