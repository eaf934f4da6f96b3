package backing_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/06-database-cache/backing"
)

// folder returns a new folder that every user may enter, as t.TempDir's is not, and
// checks that nothing is left in it.
func folder(t *testing.T) string {
	t.Helper()
	quick := "/dev/shm" // many of these servers are made, and disks are slow
	if _, err := os.Stat(quick); err != nil {
		quick = ""
	}
	dir, err := os.MkdirTemp(quick, "backing-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// entries returns the names in a folder.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// open opens a PostgreSQL that the machine must have, and closes it at t's end.
func open(t *testing.T, c backing.PostgresConfig) *backing.Postgres {
	t.Helper()
	pg, err := backing.OpenPostgres(t.Context(), c)
	needed(t, err)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pg.Close() })
	return pg
}

func needed(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, backing.ErrNoPostgres) && os.Getenv("CI") == "" {
		t.Skipf("not checked: this test needs PostgreSQL's server. To install it: %s", backing.InstallPostgres())
	}
}

func query(t *testing.T, url, statement string) (text string, err error) {
	t.Helper()
	db, err := sql.Open("postgres", url)
	require.NoError(t, err)
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = db.QueryRowContext(ctx, statement).Scan(&text)
	return text, err
}

func ask(t *testing.T, url, statement string) string {
	t.Helper()
	text, err := query(t, url, statement)
	require.NoError(t, err, statement)
	return text
}

func do(t *testing.T, url, statement string) {
	t.Helper()
	db, err := sql.Open("postgres", url)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(statement)
	require.NoError(t, err, statement)
}

func TestOpenPostgres(t *testing.T) {
	t.Parallel()
	t.Run("starts a private cluster", func(t *testing.T) {
		dir := folder(t)
		pg := open(t, backing.PostgresConfig{Dir: dir, Settings: map[string]string{"work_mem": "5MB"}})
		for name, want := range map[string]string{
			"fsync": "off", "synchronous_commit": "on", "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
			"lc_collate": "C", "server_encoding": "UTF8", "TimeZone": "UTC", "password_encryption": "scram-sha-256",
			"work_mem": "5MB",
		} {
			if name == "lc_collate" { // a setting until version 15
				assert.Equal(t, want, ask(t, pg.URL, "SELECT datcollate FROM pg_database WHERE datname = current_database()"))
				continue
			}
			assert.Equal(t, want, ask(t, pg.URL, "SELECT current_setting('"+name+"')"), name)
		}
		assert.Equal(t, "0", ask(t, pg.URL, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'"), "ways in without a password")
		assert.Equal(t, dir, filepath.Dir(filepath.Dir(ask(t, pg.URL, "SHOW data_directory"))))
		u, err := url.Parse(pg.URL)
		require.NoError(t, err)
		password, _ := u.User.Password()
		assert.Contains(t, pg.Took, "PostgreSQL ")
		assert.Contains(t, pg.Took, u.Host)
		assert.NotContains(t, pg.Took, password)

		u.User = url.UserPassword("postgres", "another")
		_, err = query(t, u.String(), "SELECT 1")
		require.ErrorContains(t, err, "password authentication failed")

		require.NoError(t, pg.Close())
		require.Empty(t, entries(t, dir), "folders that Close left")
		_, err = query(t, pg.URL, "SELECT 1")
		require.Error(t, err, "the server after Close")
		require.NoError(t, pg.Close(), "a second Close")
		require.NoError(t, pg.Wait(), "Wait after Close")
	})

	t.Run("gives each cluster a password of its own", func(t *testing.T) {
		a, b := open(t, backing.PostgresConfig{}), open(t, backing.PostgresConfig{})
		u, err := url.Parse(a.URL)
		require.NoError(t, err)
		other, err := url.Parse(b.URL)
		require.NoError(t, err)
		u.Host = other.Host
		_, err = query(t, u.String(), "SELECT 1")
		require.ErrorContains(t, err, "password authentication failed")
	})

	t.Run("does not run the server as root", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("not checked: this process is not root's")
		}
		pg := open(t, backing.PostgresConfig{})
		out, err := exec.Command("ps", "-o", "uid=", "-p", fmt.Sprint(pg.PID)).Output()
		require.NoError(t, err)
		require.NotEqual(t, "0", strings.TrimSpace(string(out)))
		require.Contains(t, pg.Took, "as user ")
	})

	t.Run("takes a server that runs already", func(t *testing.T) {
		first := open(t, backing.PostgresConfig{})
		pg, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{URL: first.URL, Bin: "/not/looked/at"})
		require.NoError(t, err)
		require.Equal(t, first.URL, pg.URL)
		require.Zero(t, pg.PID)
		require.Contains(t, pg.Took, "DATABASE_URL")
		u, _ := url.Parse(first.URL)
		password, _ := u.User.Password()
		require.NotContains(t, pg.Took, password)
		require.NoError(t, pg.Wait())
		require.NoError(t, pg.Close())
		require.Equal(t, "1", ask(t, first.URL, "SELECT 1"), "Close must leave it running")
	})

	t.Run("takes nothing else when that server does not answer", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
		require.NoError(t, err)
		defer l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err = backing.OpenPostgres(ctx, backing.PostgresConfig{URL: "postgres://ada:secret@" + l.Addr().String() + "/shop?sslmode=disable"})
		require.ErrorContains(t, err, l.Addr().String())
		require.NotContains(t, err.Error(), "secret")
		require.NotErrorIs(t, err, backing.ErrNoPostgres)
	})

	t.Run("does not quote a URL that it cannot read", func(t *testing.T) {
		for _, bad := range []string{"postgres://ada:sec%ret@host/shop", "postgres://ada:secret@host:port/shop", "host=a password='secret"} {
			_, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{URL: bad})
			require.ErrorContains(t, err, "DATABASE_URL", bad)
			require.NotContains(t, err.Error(), "sec", bad)
		}
	})

	t.Run("listens on loopback alone", func(t *testing.T) {
		for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:5432", ":5432", "localhost:5432", "127.0.0.1"} {
			_, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{Addr: addr})
			require.ErrorContains(t, err, "loopback", addr)
			require.ErrorContains(t, err, addr)
		}
	})

	t.Run("says that its port is taken", func(t *testing.T) {
		dir := folder(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		_, err = backing.OpenPostgres(t.Context(), backing.PostgresConfig{Dir: dir, Addr: l.Addr().String()}.WithPatience(1))
		needed(t, err)
		require.ErrorContains(t, err, l.Addr().String())
		require.Empty(t, entries(t, dir))
	})

	t.Run("says what the server says", func(t *testing.T) {
		dir := folder(t)
		_, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{Dir: dir, Settings: map[string]string{"work_mem": "plenty"}})
		needed(t, err)
		require.ErrorContains(t, err, `invalid value for parameter "work_mem": "plenty"`)
		require.Empty(t, entries(t, dir))
	})

	t.Run("may be used from many goroutines at once", func(t *testing.T) {
		dir := folder(t)
		open(t, backing.PostgresConfig{Dir: dir}).Close()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				pg, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{Dir: dir})
				if assert.NoError(t, err) {
					var twice sync.WaitGroup
					twice.Go(func() { assert.NoError(t, pg.Wait()) })
					twice.Go(func() { assert.NoError(t, pg.Close()) })
					twice.Go(func() { assert.NoError(t, pg.Close()) })
					twice.Wait()
				}
			})
		}
		all.Wait()
		require.Empty(t, entries(t, dir))
	})

	t.Run("stops when its context ends", func(t *testing.T) {
		dir := folder(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the guest has left"))
		_, err := backing.OpenPostgres(ctx, backing.PostgresConfig{Dir: dir})
		require.ErrorContains(t, err, "the guest has left")

		// In all that a start passes: initdb for the first time, and then copies.
		open(t, backing.PostgresConfig{}).Close()
		cache := folder(t)
		for n, after := range []time.Duration{time.Millisecond, 150 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond, 80 * time.Millisecond} {
			if n == 2 {
				cache = ""
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), after, errors.New("no time left"))
			defer cancel()
			began := time.Now()
			pg, err := backing.OpenPostgres(ctx, backing.PostgresConfig{Dir: dir, CacheDir: cache})
			needed(t, err)
			if err == nil { // a quick machine
				require.NoError(t, pg.Close())
			} else {
				require.ErrorContains(t, err, "no time left", after)
				require.Less(t, time.Since(began), 15*time.Second, "cancelled after %v", after)
			}
			require.Empty(t, entries(t, dir), "left when cancelled after %v", after)
		}
	})
}

// fake writes programs that a folder of binaries should hold.
func fake(t *testing.T, postgres, initdb string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("not checked: the programs are shell scripts")
	}
	dir := filepath.Join(folder(t), "bin")
	require.NoError(t, os.Mkdir(dir, 0o755))
	for name, text := range map[string]string{"postgres": postgres, "initdb": initdb} {
		if text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
		}
	}
	return dir
}

func TestFindPostgres(t *testing.T) {
	t.Parallel()
	took, err := backing.FindPostgres(t.Context(), backing.PostgresConfig{})
	needed(t, err)
	require.NoError(t, err)
	require.Regexp(t, `^PostgreSQL \d+\.\d+ from .+ \(.+\)$`, took)
	took, err = backing.FindPostgres(t.Context(), backing.PostgresConfig{URL: "postgres://ada:secret@192.0.2.1/shop"})
	require.NoError(t, err)
	require.Equal(t, "PostgreSQL at 192.0.2.1:5432: DATABASE_URL says so", took)
	_, err = backing.FindPostgres(t.Context(), backing.PostgresConfig{Bin: t.TempDir()})
	require.ErrorContains(t, err, "postgres is no program")
}

func TestBin(t *testing.T) {
	version := "echo 'postgres (PostgreSQL) 17.5'"
	for name, test := range map[string]struct{ postgres, initdb, says string }{
		"is empty":                         {"", "", "postgres is no program"},
		"has the clients alone":            {"", version, "postgres is no program"},
		"has no initdb":                    {version, "", "initdb is no program"},
		"holds something else":             {"echo hello", "true", `"hello"`},
		"is for another machine":           {"echo cannot run >&2; exit 3", "true", "exit status 3: cannot run"},
		"is too old":                       {"echo 'postgres (PostgreSQL) 9.6.24'", "true", "9.6.24"},
		"has an initdb that fails":         {version, "echo no such locale >&2; exit 1", "no such locale"},
		"has a server that does not start": {`[ "$1" = --version ] && ` + version + ` || { echo out of memory >&2; exit 1; }`, "true", "out of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			_, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{Bin: fake(t, test.postgres, test.initdb), Dir: dir, CacheDir: folder(t)})
			require.ErrorContains(t, err, test.says)
			require.NotErrorIs(t, err, backing.ErrNoPostgres, "it was asked for by name")
			require.Empty(t, entries(t, dir))
		})
	}
	t.Run("hangs", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		dir := folder(t)
		began := time.Now()
		_, err := backing.OpenPostgres(ctx, backing.PostgresConfig{Bin: fake(t, version, "sleep 60"), Dir: dir, CacheDir: folder(t)}.WithInitdbGrace(100*time.Millisecond))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(began), 5*time.Second)
		require.Empty(t, entries(t, dir))
	})
	t.Run("may not be entered by the server's user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("not checked: this process is not root's")
		}
		dir := filepath.Join(folder(t), "private")
		require.NoError(t, os.Mkdir(dir, 0o700))
		_, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{Dir: dir})
		needed(t, err)
		require.ErrorContains(t, err, "may not enter "+dir)
		require.Empty(t, entries(t, dir))
	})
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	notes := func(c *backing.PostgresConfig) *bytes.Buffer {
		var text bytes.Buffer
		c.Log = slog.New(slog.NewTextHandler(&text, nil))
		return &text
	}

	cache := folder(t)
	require.NoError(t, os.MkdirAll(filepath.Join(cache, "postgresql", "half-1", "data"), 0o700))

	t.Run("is made once, by one of many", func(t *testing.T) {
		var all sync.WaitGroup
		made := make(chan bool, 3)
		open(t, backing.PostgresConfig{}).Close()
		for range cap(made) {
			all.Go(func() {
				c := backing.PostgresConfig{CacheDir: cache}
				text := notes(&c)
				pg, err := backing.OpenPostgres(t.Context(), c)
				if assert.NoError(t, err) {
					assert.NoError(t, pg.Close())
				}
				made <- strings.Contains(text.String(), "initdb took")
			})
		}
		all.Wait()
		n := 0
		for range cap(made) {
			if <-made {
				n++
			}
		}
		require.Equal(t, 1, n, "how many have run initdb")
	})

	t.Run("is made again when it is damaged, and its halves are not used", func(t *testing.T) {
		c := backing.PostgresConfig{CacheDir: cache, Dir: folder(t)}
		open(t, c).Close()
		found, err := filepath.Glob(filepath.Join(cache, "postgresql", "*"))
		require.NoError(t, err)
		require.Len(t, found, 2, "a template and a lock, and no half: %q", found)
		damaged, err := filepath.Glob(filepath.Join(cache, "postgresql", "template-*", "data", "global", "pg_control"))
		require.NoError(t, err)
		require.Len(t, damaged, 1)
		require.NoError(t, os.Truncate(damaged[0], 0))

		text := notes(&c)
		require.Equal(t, "1", ask(t, open(t, c).URL, "SELECT 1"))
		require.Contains(t, text.String(), "initdb took")
		text.Reset()
		require.Equal(t, "1", ask(t, open(t, c).URL, "SELECT 1"))
		require.NotContains(t, text.String(), "initdb took")
	})

	t.Run("is not needed", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		c := backing.PostgresConfig{CacheDir: file}
		text := notes(&c)
		require.Equal(t, "1", ask(t, open(t, c).URL, "SELECT 1"))
		require.Contains(t, text.String(), "template")
	})
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	addr := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return l.Addr().String()
	}

	t.Run("keeps what was acknowledged", func(t *testing.T) {
		for name, end := range map[string]func(t *testing.T, c *child){
			"when the role is killed":   func(t *testing.T, c *child) {},
			"when the server is killed": func(t *testing.T, c *child) { killProcess(t, c.PID) },
			"when both are killed, and the supervisor": func(t *testing.T, c *child) {
				if runtime.GOOS != "linux" {
					t.Skip("not checked: Linux alone tells the server")
				}
				require.NoError(t, parentOf(t, c.PID).Kill())
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := folder(t)
				config := backing.PostgresConfig{DataDir: filepath.Join(dir, "kept"), Addr: addr(t)}
				_, err := config.KeptURL()
				require.ErrorIs(t, err, fs.ErrNotExist, "before it was made")
				role := startChild(t, family{Dir: dir, DataDir: config.DataDir, Addr: config.Addr}, "")
				role.ready(t)
				url, err := config.KeptURL()
				require.NoError(t, err)
				require.Equal(t, role.URL, url)
				do(t, url, "CREATE TABLE plates (n int)")

				// Somebody orders all the time, until the connection breaks.
				acknowledged, enough := make(chan int, 1), make(chan bool, 2)
				go func() {
					n := 0
					defer func() { enough <- false; acknowledged <- n }()
					db, err := sql.Open("postgres", url)
					if err != nil {
						return
					}
					defer db.Close()
					conn, err := db.Conn(t.Context())
					if err != nil {
						return
					}
					defer conn.Close()
					for ; ; n++ {
						if n == 20 {
							enough <- true
						}
						if _, err := conn.ExecContext(t.Context(), "INSERT INTO plates VALUES ($1)", n); err != nil {
							return
						}
					}
				}()
				require.True(t, <-enough, "the orders are taken")
				end(t, role)
				require.NoError(t, role.cmd.Process.Kill())
				_ = role.cmd.Wait()
				began := time.Now()
				again := startChild(t, family{Dir: dir, DataDir: config.DataDir, Addr: config.Addr}, "")
				again.ready(t)
				require.Less(t, time.Since(began), 10*time.Second, "until it was back")
				require.Equal(t, url, again.URL)
				n := <-acknowledged
				require.Equal(t, fmt.Sprint(n), ask(t, url, fmt.Sprintf("SELECT count(*) FROM plates WHERE n < %d", n)), "rows that were acknowledged")
				require.NoError(t, again.cmd.Process.Kill())
				_ = again.cmd.Wait()
				gone(t, dir, "at the end", "kept")
			})
		}
	})

	t.Run("starts though a killed server's number is another's", func(t *testing.T) {
		c := backing.PostgresConfig{DataDir: filepath.Join(folder(t), "kept"), Addr: addr(t)}
		pg, other := open(t, c), open(t, backing.PostgresConfig{})
		do(t, pg.URL, "CREATE TABLE plates (n int)")
		killProcess(t, pg.PID)
		require.ErrorContains(t, pg.Wait(), "has ended by itself")
		file := filepath.Join(c.DataDir, "data", "postmaster.pid")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(text), "\n")
		require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf("%d\n%s", other.PID, rest)), 0o600))
		again := open(t, c)
		require.Equal(t, pg.URL, again.URL)
		require.Equal(t, "0", ask(t, again.URL, "SELECT count(*) FROM plates"))
		require.Contains(t, again.Took, c.DataDir)
		require.NoError(t, again.Close())
		require.Equal(t, "0", ask(t, open(t, c).URL, "SELECT count(*) FROM plates"))
	})

	t.Run("is not needed for a certain address", func(t *testing.T) {
		f := family{Dir: folder(t), Addr: addr(t)}
		for range 3 { // each may find the former server there, which is about to end
			c := startChild(t, f, "")
			c.ready(t)
			require.NoError(t, c.cmd.Process.Kill())
			_ = c.cmd.Wait()
		}
		gone(t, f.Dir, "at the end")

		l, err := net.Listen("tcp", f.Addr)
		require.NoError(t, err)
		time.AfterFunc(300*time.Millisecond, func() { l.Close() }) // it ends late
		pg := open(t, backing.PostgresConfig{Addr: f.Addr})
		require.Equal(t, "1", ask(t, pg.URL, "SELECT 1"))
	})

	t.Run("has no URL that lasts without a port", func(t *testing.T) {
		for _, c := range []backing.PostgresConfig{
			{Addr: "127.0.0.1:5433"}, {DataDir: "kept"}, {DataDir: "kept", Addr: "127.0.0.1:0"}, {DataDir: "kept", Addr: "192.0.2.1:5433"},
		} {
			_, err := c.KeptURL()
			require.Error(t, err, "%+v", c)
			require.NotErrorIs(t, err, fs.ErrNotExist, "%+v: nobody should wait for it", c)
		}
	})

	t.Run("of a state's folder that only its owner may enter", func(t *testing.T) {
		state := filepath.Join(t.TempDir(), ".workshop")
		require.NoError(t, os.Mkdir(state, 0o700))
		c := backing.PostgresConfig{DataDir: backing.DataDir(state)}
		pg := open(t, c)
		require.Equal(t, "1", ask(t, pg.URL, "SELECT 1"))
		open(t, backing.PostgresConfig{}).Close()
		require.Equal(t, "1", ask(t, pg.URL, "SELECT 1"))
		require.NoError(t, pg.Close())
		open(t, backing.PostgresConfig{}).Close()
		require.DirExists(t, c.DataDir)

		require.NoError(t, os.RemoveAll(state))
		open(t, backing.PostgresConfig{}).Close()
		require.NoDirExists(t, c.DataDir, "the state is gone")
	})

	t.Run("belongs to one server", func(t *testing.T) {
		c := backing.PostgresConfig{DataDir: filepath.Join(folder(t), "kept")}
		pg := open(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := backing.OpenPostgres(ctx, c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "1", ask(t, pg.URL, "SELECT 1"))
	})

	t.Run("that was never finished is made anew", func(t *testing.T) {
		c := backing.PostgresConfig{DataDir: filepath.Join(folder(t), "kept")}
		require.NoError(t, os.MkdirAll(filepath.Join(c.DataDir, "data", "base"), 0o700))
		for _, name := range []string{"from-click-to-code.lock", "unfinished"} {
			require.NoError(t, os.WriteFile(filepath.Join(c.DataDir, name), nil, 0o600))
		}
		require.Equal(t, "1", ask(t, open(t, c).URL, "SELECT 1"))
	})

	t.Run("that is another's is left alone", func(t *testing.T) {
		open(t, backing.PostgresConfig{}).Close()
		dir := folder(t)
		file := filepath.Join(dir, "data", "PG_VERSION")
		require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("15"), 0o600))
		for range 2 {
			_, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{DataDir: dir})
			require.ErrorContains(t, err, "holds something else (data)")
		}
		require.Equal(t, []string{"data"}, entries(t, dir))
		// Not even where our own mark is, as long as nobody says that it is half made.
		require.NoError(t, os.WriteFile(filepath.Join(dir, "from-click-to-code.lock"), nil, 0o600))
		_, err := backing.OpenPostgres(t.Context(), backing.PostgresConfig{DataDir: dir})
		require.ErrorContains(t, err, "no password")
		require.FileExists(t, file)
	})
}

// child is a process that has started a cluster.
type child struct {
	family
	cmd   *exec.Cmd
	lines *bufio.Reader
}

// startChild starts a parent of a cluster: see TestMain. shell, if it is not empty,
// runs before it.
func startChild(t *testing.T, f family, shell string) *child {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(f)
	require.NoError(t, err)
	cmd := exec.Command(self)
	if shell != "" {
		cmd = exec.Command("/bin/sh", "-c", shell+`; exec "$0"`, self)
	}
	cmd.Env = append(os.Environ(), parentVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	ownGroup(cmd)
	_, err = cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &child{cmd: cmd, lines: bufio.NewReader(out)}
}

// ready waits for the cluster.
func (c *child) ready(t *testing.T) {
	t.Helper()
	line, err := c.lines.ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &c.family))
}

// killProcess kills a process.
func killProcess(t *testing.T, pid int) {
	t.Helper()
	process, err := os.FindProcess(pid)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
}

// gone waits until dir has nothing but what is kept, and no process works in it.
func gone(t *testing.T, dir, when string, kept ...string) {
	t.Helper()
	left := func() []string {
		names := slices.DeleteFunc(entries(t, dir), func(name string) bool { return slices.Contains(kept, name) })
		return append(names, processes(dir)...)
	}
	assert.Eventually(t, func() bool { return len(left()) == 0 }, 15*time.Second, 20*time.Millisecond)
	require.Empty(t, left(), "left when the parent was killed %s", when)
}

func TestParent(t *testing.T) {
	t.Parallel()
	t.Run("killed, leaves no process and no folder", func(t *testing.T) {
		kills := 8
		if os.Getenv("CI") != "" && !raced {
			kills = 40
		}
		dir, cache := folder(t), folder(t)
		kept := []string{"", "kept-1", "kept-2", "kept-3"} // "": a throw-away cluster
		t.Run("while others start", func(t *testing.T) {
			for i, name := range kept {
				t.Run(cmp.Or(name, "thrown away"), func(t *testing.T) {
					t.Parallel()
					for n := i; n < kills; n += len(kept) {
						f := family{Dir: dir}
						if name != "" {
							f.DataDir = filepath.Join(dir, name) // where the former server may still be ending
						} else if n%20 == 4 {
							f.Cache = filepath.Join(cache, fmt.Sprint(n)) // initdb runs
						}
						c := startChild(t, f, "")
						if n/len(kept)%2 == 1 {
							time.Sleep(time.Duration(n) * 7 * time.Millisecond) // not a wait for anything: a moment of dying
						} else {
							c.ready(t)
						}
						require.NoError(t, c.cmd.Process.Kill())
						_ = c.cmd.Wait()
					}
				})
			}
		})
		gone(t, dir, "at many moments", kept...)
		for _, name := range kept[1:] {
			require.Equal(t, "1", ask(t, open(t, backing.PostgresConfig{DataDir: filepath.Join(dir, name)}).URL, "SELECT 1"))
		}
	})

	t.Run("interrupted, reaches its database once more", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("not checked: Ctrl-C cannot be sent to a group alone")
		}
		dir := folder(t)
		open(t, backing.PostgresConfig{}).Close()
		for _, shell := range []string{"", "trap '' HUP TERM"} {
			c := startChild(t, family{Dir: dir}, shell)
			c.ready(t)
			require.NoError(t, interruptGroup(c.cmd))
			line, err := c.lines.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "the last query was answered\n", line)
			require.NoError(t, c.cmd.Wait())
			gone(t, dir, "by Ctrl-C")
		}
	})

	t.Run("may lose the supervisor first", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("not checked: Linux alone tells the server")
		}
		dir := folder(t)
		pg := open(t, backing.PostgresConfig{Dir: dir})
		supervisor := parentOf(t, pg.PID)
		require.NoError(t, supervisor.Kill())
		require.Error(t, pg.Wait())
		assert.Eventually(t, func() bool { return len(processes(dir)) == 0 }, 10*time.Second, 20*time.Millisecond)
		require.Empty(t, processes(dir))

		// Nobody was left to remove the folder, so the next one does.
		left := entries(t, dir)
		require.Len(t, left, 1)
		old := time.Now().Add(-time.Hour)
		require.NoError(t, os.Chtimes(filepath.Join(dir, left[0]), old, old))
		next := open(t, backing.PostgresConfig{Dir: dir})
		require.NotContains(t, entries(t, dir), left[0])

		// But never one that is in use, however old.
		used := filepath.Join(dir, entries(t, dir)[0])
		require.NoError(t, os.Chtimes(used, old, old))
		open(t, backing.PostgresConfig{Dir: dir}).Close()
		require.Equal(t, "1", ask(t, next.URL, "SELECT 1"))
		require.NoError(t, next.Close())
		require.Empty(t, entries(t, dir))
	})
}
