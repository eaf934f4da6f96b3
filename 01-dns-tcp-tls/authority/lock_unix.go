//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package authority

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock, or returns nil when another one has it.
func tryLock(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return nil, nil
		}
		return nil, &os.PathError{Op: "lock", Path: file, Err: err}
	}
	return f, nil
}
