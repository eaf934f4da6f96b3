package backing

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nothingInstalled makes this a machine without PostgreSQL, and with a list of
// bundles that a test needs.
func nothingInstalled(t *testing.T, list string) {
	wasPlaces, wasList := places, bundleList
	places, bundleList = func() []place { return nil }, list
	t.Cleanup(func() { places, bundleList = wasPlaces, wasList })
}

// entry is what an archive has.
type entry struct {
	name, text string
	link       string // to where
}

// script is a program of a small bundle: it runs the one that is installed.
func script(real string) string { return "#!/bin/sh\nexec " + real + ` "$@"` + "\n" }

// small returns the entries of a bundle that works on this machine.
func small(t *testing.T) []entry {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("not checked: the programs are shell scripts")
	}
	found := installed()
	if len(found) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has no PostgreSQL")
		}
		t.Skipf("not checked: this test needs PostgreSQL's server. To install it: %s", InstallPostgres())
	}
	return []entry{
		{name: "share/note", text: strings.Repeat("a", 70_000)},
		{name: "bin/postgres", text: script(filepath.Join(found[0].dir, "postgres"))},
		{name: "bin/initdb", text: script(filepath.Join(found[0].dir, "initdb"))},
		{name: "lib/libpq.so", link: "libpq.so.5"},
	}
}

// txz packs entries as embedded-postgres does, though without compressing: stored
// chunks are valid LZMA2. Source: the .xz file format, version 1.0.4.
func txz(t *testing.T, entries []entry) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.text)), Typeflag: tar.TypeReg}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := w.Write([]byte(e.text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())

	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	number := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	padded := func(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }

	flags := []byte{0, 0} // no check: the digest is one
	out := append([]byte("\xfd7zXZ\x00"), append(flags, sum(flags)...)...)
	header := []byte{2, 0, 0x21, 1, 16, 0, 0, 0} // LZMA2, with a dictionary of 1 MiB
	header = append(header, sum(header)...)
	block := len(out)
	out = append(out, header...)
	for text := packed.Bytes(); len(text) > 0; {
		n := min(len(text), 1<<16)
		control := byte(2)
		if len(text) == packed.Len() {
			control = 1 // the dictionary is new
		}
		out = append(out, control, byte((n-1)>>8), byte(n-1))
		out, text = append(out, text[:n]...), text[n:]
	}
	out = append(out, 0)
	size := len(out) - block
	out = padded(out)
	index := padded(append(append([]byte{0, 1}, number(size)...), number(packed.Len())...))
	index = append(index, sum(index)...)
	out = append(out, index...)
	footer := append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	return append(append(append(out, sum(footer)...), footer...), "YZ"...)
}

// jar packs them as Maven has them.
func jar(t *testing.T, entries []entry) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for name, text := range map[string][]byte{"META-INF/MANIFEST.MF": []byte("1.0"), "postgres-linux-x86_64.txz": txz(t, entries)} {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write(text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return packed.Bytes()
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// room returns two folders that another user may enter.
func room(t *testing.T) (cache, dir string) {
	t.Helper()
	quick := memoryDir()
	for _, folder := range []*string{&cache, &dir} {
		var err error
		*folder, err = os.MkdirTemp(quick, "backing-")
		require.NoError(t, err)
		require.NoError(t, os.Chmod(*folder, 0o755))
		t.Cleanup(func() { _ = os.RemoveAll(*folder) })
	}
	return cache, dir
}

// nothingUnpacked checks that a failure has left neither a bundle nor a half.
func nothingUnpacked(t *testing.T, cache string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(cache, "postgresql", "bundle-*"))
	require.NoError(t, err)
	for _, name := range left {
		require.Equal(t, "bundle-lock", filepath.Base(name), "left in the cache")
	}
}

// find does what OpenPostgres does before it starts anything.
func find(ctx context.Context, c PostgresConfig) (binaries, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.validate(); err != nil {
		return binaries{}, err
	}
	return c.binaries(ctx)
}

func TestBundle(t *testing.T) {
	t.Run("of a file is checked, unpacked once and used", func(t *testing.T) {
		nothingInstalled(t, "")
		cache, dir := room(t)
		text := jar(t, small(t))
		file := filepath.Join(dir, "bundle.jar")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		c := PostgresConfig{Bundle: file + "#sha256=" + strings.ToUpper(digestOf(text)), CacheDir: cache}
		pg, err := OpenPostgres(t.Context(), c)
		require.NoError(t, err)
		require.Contains(t, pg.Took, "asked for as a bundle")
		one, err := ask(t.Context(), pg.URL, "SELECT 1")
		require.NoError(t, err)
		require.Equal(t, "1", one)
		require.NoError(t, pg.Close())

		require.NoError(t, os.Remove(file))
		pg, err = OpenPostgres(t.Context(), c)
		require.NoError(t, err, "the bundle is in the cache")
		require.NoError(t, pg.Close())

		pg, err = OpenPostgres(t.Context(), PostgresConfig{CacheDir: cache, NoDownload: true})
		require.NoError(t, err, "and is found there without being asked for")
		require.Contains(t, pg.Took, "a bundle in the cache")
		require.NoError(t, pg.Close())
	})

	t.Run("of a URL is announced with its size", func(t *testing.T) {
		nothingInstalled(t, "")
		cache, _ := room(t)
		text := txz(t, small(t))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			_, _ = w.Write(text)
		}))
		defer server.Close()
		var log bytes.Buffer
		c := PostgresConfig{Bundle: server.URL + "/b.txz#sha256=" + digestOf(text), CacheDir: cache, Log: slog.New(slog.NewTextHandler(&log, nil))}
		off := c
		off.NoDownload = true
		_, err := find(t.Context(), off)
		require.ErrorContains(t, err, "downloads are turned off")

		_, err = find(t.Context(), c)
		require.NoError(t, err)
		require.Contains(t, log.String(), "0.1 MB")
		require.Contains(t, log.String(), server.URL)

		server.Close()
		_, err = find(t.Context(), off)
		require.NoError(t, err, "it is in the cache")
	})

	t.Run("of the list is downloaded once, by one of many", func(t *testing.T) {
		text := jar(t, small(t))
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			_, _ = w.Write(text)
		}))
		defer server.Close()
		line := func(version, platform string) string {
			return fmt.Sprintf("%s %s %d %s %s/%s.jar\n", version, platform, len(text), digestOf(text), server.URL, version)
		}
		nothingInstalled(t, "# a list\n"+line("9.6.1", platform())+line("17.9.0", platform())+line("18.0.0", "plan9-mips")+line("17.5.0", platform()))
		cache, _ := room(t)
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() {
				bin, err := find(t.Context(), PostgresConfig{CacheDir: cache})
				if err == nil && !strings.Contains(bin.Where, "downloaded") && !strings.Contains(bin.Where, "cache") {
					err = errors.New(bin.Where)
				}
				errs <- err
			}()
		}
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		require.EqualValues(t, 1, asked.Load(), "downloads")

		other, _ := room(t)
		_, err := find(t.Context(), PostgresConfig{CacheDir: other, NoDownload: true})
		require.ErrorIs(t, err, ErrNoPostgres)
		require.ErrorContains(t, err, "17.9.0.jar was not downloaded")
	})

	t.Run("with another digest is not unpacked", func(t *testing.T) {
		text := jar(t, small(t))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(text) }))
		defer server.Close()
		wrong := strings.Repeat("0", 64)
		nothingInstalled(t, fmt.Sprintf("17.5.0 %s %d %s %s/b.jar", platform(), len(text), wrong, server.URL))
		cache, _ := room(t)
		for _, c := range []PostgresConfig{{}, {Bundle: server.URL}, {Bundle: server.URL + "#sha256=" + wrong}} {
			c.CacheDir = cache
			_, err := find(t.Context(), c)
			require.ErrorContains(t, err, "was not unpacked", "%+v", c)
			require.ErrorContains(t, err, digestOf(text))
			require.ErrorContains(t, err, wrong)
			nothingUnpacked(t, cache)
		}
	})

	t.Run("without a digest is not read", func(t *testing.T) {
		nothingInstalled(t, "")
		_, err := find(t.Context(), PostgresConfig{Bundle: "/not/there.jar", CacheDir: t.TempDir()})
		require.ErrorContains(t, err, "there.jar#sha256=")
		for _, bad := range []string{"#sha256=12", "#md5=12", "#"} {
			_, err = find(t.Context(), PostgresConfig{Bundle: "/not/there.jar" + bad, CacheDir: t.TempDir()})
			require.ErrorContains(t, err, "sha256=", bad)
		}
	})

	t.Run("that is cut off is not used, and loaded again", func(t *testing.T) {
		nothingInstalled(t, "")
		text := jar(t, small(t))
		var whole atomic.Bool
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
			if whole.Load() {
				_, _ = w.Write(text)
				return
			}
			_, _ = w.Write(text[:len(text)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		defer server.Close()
		cache, _ := room(t)
		c := PostgresConfig{Bundle: server.URL + "#sha256=" + digestOf(text), CacheDir: cache}
		_, err := find(t.Context(), c)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorContains(t, err, fmt.Sprintf("after %d octets", len(text)/2))
		nothingUnpacked(t, cache)
		whole.Store(true)
		_, err = find(t.Context(), c)
		require.NoError(t, err)
	})

	t.Run("that stalls, is missing or too long is given up", func(t *testing.T) {
		nothingInstalled(t, "")
		was := stall
		stall = 50 * time.Millisecond
		t.Cleanup(func() { stall = was })
		cache, _ := room(t)
		done := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/long":
				w.WriteHeader(http.StatusOK)
				for range 5 {
					_, _ = w.Write(make([]byte, 1000))
				}
			case "/stalls":
				w.Header().Set("Content-Length", "1000")
				_, _ = w.Write(make([]byte, 10))
				_ = http.NewResponseController(w).Flush()
				<-done
			default:
				http.NotFound(w, r)
			}
		}))
		defer server.Close()
		defer close(done)
		open := func(ctx context.Context, path string) error {
			_, err := find(ctx, PostgresConfig{Bundle: server.URL + path + "#sha256=" + strings.Repeat("1", 64), CacheDir: cache})
			return err
		}
		require.ErrorContains(t, open(t.Context(), "/stalls"), "nothing has come for 50ms")
		require.ErrorContains(t, open(t.Context(), "/missing"), "404 Not Found")
		bundleList = fmt.Sprintf("17.5.0 %s 4000 %s %s/long", platform(), strings.Repeat("1", 64), server.URL)
		_, err := find(t.Context(), PostgresConfig{CacheDir: cache})
		require.ErrorContains(t, err, "more than 4000 octets")
		stall = was
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("the guest has left"))
		defer cancel()
		require.ErrorContains(t, open(ctx, "/stalls"), "the guest has left")
		nothingUnpacked(t, cache)
	})

	t.Run("leaves no half on a full disk", func(t *testing.T) {
		nothingInstalled(t, "")
		cache, dir := room(t)
		text := jar(t, small(t))
		file := filepath.Join(dir, "bundle.jar")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		was := create
		room := int64(70_010) // the first file, and a few octets of the next
		create = func(root *os.Root, name string, mode fs.FileMode) (io.WriteCloser, error) {
			f, err := was(root, name, mode)
			return &full{f, &room}, err
		}
		t.Cleanup(func() { create = was })
		c := PostgresConfig{Bundle: file + "#sha256=" + digestOf(text), CacheDir: cache}
		_, err := find(t.Context(), c)
		require.ErrorIs(t, err, syscall.ENOSPC)
		nothingUnpacked(t, cache)

		// Whoever was killed in the middle leaves a half, which is not used.
		half := filepath.Join(cache, "postgresql", "bundle-half-1", "bin")
		require.NoError(t, os.MkdirAll(half, 0o755))
		create = was
		_, err = find(t.Context(), c)
		require.NoError(t, err)
		require.NoDirExists(t, half)
	})

	t.Run("does not lead out of its folder", func(t *testing.T) {
		nothingInstalled(t, "")
		cache, dir := room(t)
		for _, bad := range [][]entry{
			{{name: "../out", text: "x"}},
			{{name: "/out", text: "x"}},
			{{name: "a/../../out", text: "x"}},
			{{name: "lib", link: "../.."}},
			{{name: "lib", link: "/etc"}},
			{{name: "a/lib", link: "../.."}, {name: "a/lib/out", text: "x"}},
		} {
			text := txz(t, bad)
			file := filepath.Join(dir, "bundle")
			require.NoError(t, os.WriteFile(file, text, 0o600))
			_, err := find(t.Context(), PostgresConfig{Bundle: file + "#sha256=" + digestOf(text), CacheDir: cache})
			require.ErrorContains(t, err, "leads out of the archive", "%+v", bad)
			nothingUnpacked(t, cache)
		}
	})

	t.Run("that is none says so", func(t *testing.T) {
		nothingInstalled(t, "")
		cache, dir := room(t)
		var empty bytes.Buffer
		require.NoError(t, zip.NewWriter(&empty).Close())
		for _, text := range []string{"", "hello", "PK\x03\x04", empty.String(), string(txz(t, nil)[:20]), string(txz(t, []entry{{name: "readme", text: "x"}}))} {
			file := filepath.Join(dir, "bundle")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			_, err := find(t.Context(), PostgresConfig{Bundle: file + "#sha256=" + digestOf([]byte(text)), CacheDir: cache})
			require.Error(t, err, "%q", text)
		}
	})
}

// full is a file on a disk that has room for so many octets.
type full struct {
	io.WriteCloser
	room *int64
}

func (f *full) Write(p []byte) (int, error) {
	n := min(int64(len(p)), *f.room)
	*f.room -= n
	written, err := f.WriteCloser.Write(p[:n])
	if err == nil && n < int64(len(p)) {
		err = syscall.ENOSPC
	}
	return written, err
}

func TestBundleList(t *testing.T) {
	known, err := parseBundles(bundleList)
	require.NoError(t, err, "the list of this package")
	for _, b := range known {
		require.True(t, strings.HasPrefix(b.URL, "https://"), b.URL)
	}
	digest := strings.Repeat("a", 64)
	for _, bad := range []string{"17.5.0 linux-amd64 12 " + digest, "17.5.0 linux-amd64 0 " + digest + " https://a", "17.5.0 linux-amd64 12 " + digest[1:] + " https://a"} {
		_, err := parseBundles("#\n\n" + bad)
		require.ErrorContains(t, err, "line 3", bad)
	}
}

func TestNothingFound(t *testing.T) {
	nothingInstalled(t, "")
	cache, dir := room(t)
	_, err := find(t.Context(), PostgresConfig{CacheDir: cache})
	require.ErrorIs(t, err, ErrNoPostgres)
	for _, words := range []string{"no server is installed", "nothing can be downloaded", platform(), InstallPostgres(), "DATABASE_URL"} {
		require.ErrorContains(t, err, words)
	}

	// What is installed and does not work is passed over, and named.
	broken := filepath.Join(dir, "15", "bin")
	found := installed()
	places = func() []place { return append([]place{{broken, "where it is broken"}}, found...) }
	var log bytes.Buffer
	bin, err := find(t.Context(), PostgresConfig{CacheDir: cache, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if len(found) > 0 {
		require.NoError(t, err)
		require.Contains(t, bin.Where, found[0].where)
	}
	require.Contains(t, log.String(), broken)
}

func TestNewestFirst(t *testing.T) {
	for _, pair := range [][2]string{
		{"/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/9.6/bin"},
		{"/opt/homebrew/opt/postgresql@18/bin", "/opt/homebrew/opt/postgresql/bin"},
		{"/usr/libexec/postgresql16", "/usr/libexec/postgresql15"},
		{"17.10.0", "17.9.0"},
	} {
		require.Positive(t, compareVersions(pair[0], pair[1]), "%q", pair)
	}
}

// A port that another process takes between our look and the server's is no fault.
func TestPortIsLost(t *testing.T) {
	found := installed()
	if len(found) == 0 {
		t.Skip("not checked: there is no PostgreSQL")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, taken, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	was, looks := freePort, 0
	freePort = func(host string) (string, error) {
		if looks++; looks < 3 {
			return taken, nil
		}
		return was(host)
	}
	t.Cleanup(func() { freePort = was })

	// The cluster is this process's own: a supervisor has a freePort of its own.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	as, err := serverAccount()
	require.NoError(t, err)
	bin, err := examine(t.Context(), found[0].dir, found[0].where, as)
	require.NoError(t, err)
	_, dir := room(t)
	c, err := newCluster(t.Context(), postgresJob{Binaries: bin, Addr: "127.0.0.1:0", Dir: dir, CacheDir: cacheDir()})
	require.NoError(t, err)
	require.Equal(t, 3, looks)
	require.NoError(t, c.stop(fast))
}
