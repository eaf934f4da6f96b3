package backing

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xi2/xz"
)

//go:embed postgres_bundles.txt
var bundleList string

// largestBundle bounds what is read before its digest is known. They have 10 to 60 MB.
const largestBundle = 256 << 20

// bundle is binaries in one file, and how it is known.
type bundle struct {
	Version, Platform string
	Size              int64  // 0: not known
	SHA256            string // in hex
	URL               string
}

// parseBundles reads the list. A fault in it is ours.
func parseBundles(list string) (all []bundle, err error) {
	for i, line := range strings.Split(list, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 5 {
			return nil, fmt.Errorf("backing: list of bundles, line %d: %d words instead of 5", i+1, len(words))
		}
		size, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil || size <= 0 || size > largestBundle {
			return nil, fmt.Errorf("backing: list of bundles, line %d: size %q", i+1, words[2])
		}
		if !isDigest(words[3]) {
			return nil, fmt.Errorf("backing: list of bundles, line %d: %q is no SHA-256 in hex", i+1, words[3])
		}
		all = append(all, bundle{words[0], words[1], size, strings.ToLower(words[3]), words[4]})
	}
	return all, nil
}

func isDigest(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == sha256.Size
}

// platform is what the list calls this machine.
func platform() string {
	system := runtime.GOOS
	if _, err := os.Stat("/etc/alpine-release"); err == nil {
		system = "alpine" // programs for glibc do not even start there
	}
	return system + "-" + runtime.GOARCH
}

// asked is layer 3 where c.Bundle names one: its binaries, unpacked.
func (c PostgresConfig) asked(ctx context.Context, known []bundle) (dir string, err error) {
	source, fragment, _ := strings.Cut(c.Bundle, "#")
	b := bundle{Platform: platform(), URL: source}
	if digest, ok := strings.CutPrefix(fragment, "sha256="); ok && isDigest(digest) {
		b.SHA256 = strings.ToLower(digest)
		known = []bundle{b}
	} else if fragment != "" {
		return "", fmt.Errorf("%q behind the bundle's name is no digest: write #sha256= and 64 hex digits", fragment)
	}
	known = slices.DeleteFunc(slices.Clone(known), func(k bundle) bool { return k.Platform != b.Platform })
	if len(known) == 0 {
		return "", fmt.Errorf("the digest of %s is not known: no bundle for %s is in the list. If you trust it, write its SHA-256 behind it, as in %s#sha256=… (sha256sum or certutil -hashfile gives it)", source, b.Platform, filepath.Base(source))
	}
	if b.SHA256 != "" {
		if dir := c.unpacked(b); dir != "" {
			return dir, nil
		}
	}
	return c.install(ctx, source, known)
}

// install reads a bundle, compares its digest with those that are allowed, and
// only then unpacks it.
func (c PostgresConfig) install(ctx context.Context, source string, allowed []bundle) (dir string, err error) {
	if c.CacheDir == "" {
		return "", errors.New("there is no cache folder to unpack a bundle into: name one")
	}
	// Others may read it: the server runs as another user, if we are root.
	if err := os.MkdirAll(c.bundles(), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(c.bundles(), "bundle-lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := lockFile(ctx, lock, true); err != nil { // two at once would load it twice
		return "", err
	}
	if len(allowed) == 1 {
		if dir := c.unpacked(allowed[0]); dir != "" {
			return dir, nil // by another one, meanwhile
		}
	}
	halves, _ := filepath.Glob(filepath.Join(c.bundles(), "bundle-half-*"))
	for _, half := range halves { // of those who were killed
		_ = os.RemoveAll(half)
	}

	var text []byte
	if strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://") {
		text, err = c.download(ctx, source, allowed)
	} else {
		text, err = readBundle(source)
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	at := slices.IndexFunc(allowed, func(b bundle) bool { return b.SHA256 == digest })
	if at < 0 {
		var want []string
		for _, b := range allowed {
			want = append(want, b.SHA256)
		}
		return "", fmt.Errorf("%s (%d octets) is not what it should be, and was not unpacked: its SHA-256 is %s and not %s", source, len(text), digest, strings.Join(want, " or "))
	}
	dir = c.folder(allowed[at])
	if err := unpack(text, dir); err != nil {
		return "", fmt.Errorf("unpack %s: %w", source, err)
	}
	return dir, nil
}

// bundles is the folder that unpacked bundles are in.
func (c PostgresConfig) bundles() string { return filepath.Join(c.CacheDir, "postgresql") }

// folder is where b is unpacked to. What has this name is complete.
func (c PostgresConfig) folder(b bundle) string {
	return filepath.Join(c.bundles(), "bundle-"+b.Platform+"-"+b.SHA256[:32])
}

// unpacked returns the folder of b, if it is there.
func (c PostgresConfig) unpacked(b bundle) string {
	if c.CacheDir == "" {
		return ""
	}
	if info, err := os.Stat(c.folder(b)); err == nil && info.IsDir() {
		return c.folder(b)
	}
	return ""
}

// cached returns the folders of all bundles of this platform that were unpacked
// here before, the youngest first. They were checked then.
func (c PostgresConfig) cached() []string {
	if c.CacheDir == "" {
		return nil
	}
	dirs, _ := filepath.Glob(filepath.Join(c.bundles(), "bundle-"+platform()+"-*"))
	age := func(dir string) time.Time {
		if info, err := os.Stat(dir); err == nil {
			return info.ModTime()
		}
		return time.Time{}
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return age(b).Compare(age(a)) })
	return dirs
}

func readBundle(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, file, largestBundle)
}

// readAll reads what has at most limit octets.
func readAll(r io.Reader, source string, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s broke off after %d octets: %w", source, len(text), err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s has more than %d octets", source, limit)
	}
	return text, nil
}

// stall is how long a download may deliver nothing. It is a variable for tests.
var stall = 30 * time.Second

// download loads a bundle into memory: what is on disk is checked already.
func (c PostgresConfig) download(ctx context.Context, url string, allowed []bundle) ([]byte, error) {
	if c.NoDownload {
		return nil, fmt.Errorf("%s was not downloaded: downloads are turned off", url)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing has come for %v", stall)) })
	defer timer.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%s: %w", url, cause)
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	limit, size := int64(largestBundle), resp.ContentLength
	if len(allowed) == 1 && allowed[0].Size > 0 {
		limit, size = allowed[0].Size, allowed[0].Size // more cannot be it
	}
	amount := "of unknown size"
	if size >= 0 {
		amount = fmt.Sprintf("%.1f MB", float64(size)/1e6)
	}
	c.Log.Info("backing: downloading PostgreSQL, once", "size", amount, "from", url, "to", c.bundles())
	text, err := readAll(alive{resp.Body, timer}, url, limit)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("%s broke off: %w", url, cause)
	}
	return text, err
}

// alive winds up a timer whenever something was read.
type alive struct {
	io.Reader
	timer *time.Timer
}

func (a alive) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.timer.Reset(stall)
	}
	return n, err
}

// unpack makes the folder dir of a bundle: a tar archive compressed by xz, alone or
// as the .txz file in a zip archive (which a jar is). There is no half of it: it is
// unpacked under another name, and gets its own when it is complete.
func unpack(text []byte, dir string) error {
	if bytes.HasPrefix(text, []byte("PK")) {
		inner, err := unzip(text)
		if err != nil {
			return err
		}
		text = inner
	}
	compressed, err := xz.NewReader(bytes.NewReader(text), 0)
	if err != nil {
		return err
	}
	half, err := os.MkdirTemp(filepath.Dir(dir), "bundle-half-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(half)
	if err := os.Chmod(half, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(half) // nothing in the archive leads out of it
	if err != nil {
		return err
	}
	err = untar(root, tar.NewReader(compressed))
	if err = errors.Join(err, root.Close()); err != nil {
		return err
	}
	return os.Rename(half, dir)
}

func unzip(text []byte) ([]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, err
	}
	for _, file := range archive.File {
		if !strings.HasSuffix(file.Name, ".txz") {
			continue
		}
		f, err := file.Open()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f, file.Name, largestBundle)
	}
	return nil, errors.New("there is no .txz file in it")
}

func untar(root *os.Root, archive *tar.Reader) error {
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(header.Name)
		if name == "." {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("%q leads out of the archive", header.Name)
		}
		if err := root.MkdirAll(filepath.FromSlash(path.Dir(name)), 0o755); err != nil {
			return err
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(filepath.FromSlash(name), 0o755)
		case tar.TypeReg:
			// All may read it, nobody but us may write.
			err = writeFile(root, filepath.FromSlash(name), 0o644|fs.FileMode(header.Mode)&0o111, archive)
		case tar.TypeSymlink:
			if to := path.Join(path.Dir(name), header.Linkname); path.IsAbs(header.Linkname) || !filepath.IsLocal(filepath.FromSlash(to)) {
				return fmt.Errorf("%q is a link that leads out of the archive, to %q", name, header.Linkname)
			}
			err = root.Symlink(header.Linkname, filepath.FromSlash(name))
		default:
			err = fmt.Errorf("%q is no file, folder or symbolic link", name)
		}
		if err != nil {
			return err
		}
	}
}

// create makes a file of an archive. It is a variable for tests: disks are not
// filled up so easily.
var create = func(root *os.Root, name string, mode fs.FileMode) (io.WriteCloser, error) {
	return root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
}

func writeFile(root *os.Root, name string, mode fs.FileMode, from io.Reader) error {
	f, err := create(root, name, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if runtime.GOOS == "windows" {
		return nil
	}
	return root.Chmod(name, mode) // whatever our umask says
}
