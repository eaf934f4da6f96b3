package course

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// StateDir is the folder for keys, copies and caches: .workshop in the clone,
// or, where the clone is read-only, one in the user's cache folder. It is made
// if need be, for its owner alone.
func (c *Course) StateDir() (string, error) {
	dir := filepath.Join(c.Root, ".workshop")
	err := usable(dir)
	if err == nil {
		return dir, nil
	}
	cache, cacheErr := os.UserCacheDir()
	if cacheErr != nil {
		return "", fmt.Errorf("the clone cannot be written to (%w), and there is no cache folder (%w)", err, cacheErr)
	}
	id := sha256.Sum256([]byte(c.Root))
	dir = filepath.Join(cache, "clicktocode", hex.EncodeToString(id[:6]))
	if cacheErr = usable(dir); cacheErr != nil {
		return "", fmt.Errorf("neither the clone can be written to (%w) nor the cache folder (%w)", err, cacheErr)
	}
	return dir, nil
}

func usable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// Touched reports whether the learner's files, tests aside, differ from the
// starter. An exercise that nobody touched is unsolved: verify proves that
// starters are red.
func (e *Exercise) Touched() (bool, error) {
	starter, err := e.Starter()
	if err != nil {
		return false, err
	}
	mine, err := Files(e.Dir())
	if err != nil {
		return false, err
	}
	return !maps.EqualFunc(starter, mine, bytes.Equal), nil
}

// Replace puts files in the place of what stands in the learner's folder. What
// stood there, unless it is the same as files or one of disposable, is copied
// first; kept is where to, or empty.
func (c *Course) Replace(e *Exercise, files map[string][]byte, disposable ...map[string][]byte) (kept string, err error) {
	have, err := Files(e.Dir())
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.Name, err)
	}
	same := func(other map[string][]byte) bool { return maps.EqualFunc(have, other, bytes.Equal) }
	if same(files) {
		return "", nil
	}
	if len(have) > 0 && !slices.ContainsFunc(disposable, same) {
		if kept, err = c.keep(e, have); err != nil {
			return "", fmt.Errorf("%s: nothing was changed, since no copy of your files could be made: %w", e.Name, err)
		}
	}
	for name := range have {
		if _, stays := files[name]; !stays {
			if err := os.Remove(filepath.Join(e.Dir(), filepath.FromSlash(name))); err != nil {
				return kept, fmt.Errorf("%s: %w", e.Name, err)
			}
		}
	}
	if err := Write(e.Dir(), files); err != nil {
		return kept, fmt.Errorf("%s: its files cannot be written, and stay as they are: %w: make the clone writable, or work in a copy of it", e.Name, err)
	}
	return kept, nil
}

func (c *Course) keep(e *Exercise, files map[string][]byte) (string, error) {
	state, err := c.StateDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(state, "kept"), 0o700); err != nil {
		return "", err
	}
	dir := filepath.Join(state, "kept", e.Name+"-"+time.Now().Format("20060102-150405"))
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			break
		}
		if !os.IsExist(err) {
			return "", err
		}
		dir = fmt.Sprintf("%s-%d", dir, n)
	}
	return dir, Write(dir, files)
}

// Write writes files below dir. Each is written whole or not at all.
func Write(dir string, files map[string][]byte) error {
	for _, name := range sorted(files) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, files[name]) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		tmp, err := os.CreateTemp(filepath.Dir(path), ".new-")
		if err != nil {
			return err
		}
		_, err = tmp.Write(files[name])
		if err == nil {
			err = tmp.Chmod(0o644)
		}
		if closeErr := tmp.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			err = os.Rename(tmp.Name(), path)
		}
		if err != nil {
			os.Remove(tmp.Name())
			return err
		}
	}
	return nil
}
