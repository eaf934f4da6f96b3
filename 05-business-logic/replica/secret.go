package replica

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

// SecretFile is the file in the folder that holds the secret that the stand-in for
// Stripe signs its events with: one line, for its owner alone.
const SecretFile = "webhook-secret"

// Secret reads the secret in the folder dir, which is there, or makes one. An empty dir
// is stage.Dir. Processes may do so side by side, also for the first time: all get the
// same one. Whoever has it can say that an order is paid.
func Secret(dir string) (string, error) {
	if dir == "" {
		var err error
		if dir, err = stage.Dir(); err != nil {
			return "", err
		}
	}
	file := filepath.Join(dir, SecretFile)
	text, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(file); err == nil {
			text, err = read(file) // what is there now, whoever was first
		}
	}
	secret := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("replica: %w", err)
	case len(secret) != len("whsec_")+len(rand.Text()) || !strings.HasPrefix(secret, "whsec_"):
		return "", fmt.Errorf("replica: %s is damaged: delete it, and a new one is made", file)
	}
	return secret, nil
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s can be read by others (mode %v), who could sign with it: delete it, and a new one is made", file, info.Mode().Perm())
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// create makes a secret in file, unless there is one by now. The file appears under
// its name when all of it is there, and is never replaced.
func create(file string) error {
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // for its owner alone
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = fmt.Fprintln(temp, "whsec_"+rand.Text())
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err = os.Link(temp.Name(), file); errors.Is(err, fs.ErrExist) { // a rename would replace
		return nil
	}
	return err
}
