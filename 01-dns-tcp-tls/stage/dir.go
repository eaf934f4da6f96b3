package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is the folder for keys and state, made where it is missing, for its owner
// alone: what WORKSHOP_DIR names; else .workshop beside the go.work of the
// clone, looked for from the working directory upwards; else clicktocode in the
// user's cache folder. It is safe to delete while nothing runs.
func Dir() (string, error) {
	dir, err := find()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("stage: no folder for keys and state, set WORKSHOP_DIR to one that can be written: %w", err)
	}
	return dir, nil
}

// Path is how to write a file in the folder on the command line: as seen from
// the working directory where it is below that, else in full. It makes nothing.
func Path(name string) string {
	dir, err := find()
	if err != nil {
		return name
	}
	if here, err := os.Getwd(); err == nil {
		if below, err := filepath.Rel(here, dir); err == nil && filepath.IsLocal(below) {
			dir = below
		}
	}
	return filepath.Join(dir, name)
}

func find() (string, error) {
	if dir := os.Getenv("WORKSHOP_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	at, err := os.Getwd()
	for err == nil {
		if info, missing := os.Stat(filepath.Join(at, "go.work")); missing == nil && info.Mode().IsRegular() {
			return filepath.Join(at, ".workshop"), nil
		}
		above := filepath.Dir(at)
		if above == at {
			break
		}
		at = above
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "clicktocode"), err
}

// WriteFile puts data into the file called name, so that whoever reads it at
// any time finds all of it, or what was there before. The file has the given
// mode, and no wider one before.
func WriteFile(name string, data []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // for its owner alone
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = errors.Join(os.Chmod(temp.Name(), mode), os.Rename(temp.Name(), name))
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return fmt.Errorf("stage: %w", err)
	}
	return nil
}
