package authority

import (
	"errors"
	"os"
	"syscall"
)

const errorSharingViolation syscall.Errno = 32

// tryLock takes the lock, or returns nil when another one has it: the file is
// opened and not shared.
func tryLock(file string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(file)
	if err != nil {
		return nil, &os.PathError{Op: "lock", Path: file, Err: err}
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	switch {
	case errors.Is(err, errorSharingViolation):
		return nil, nil
	case err != nil:
		return nil, &os.PathError{Op: "lock", Path: file, Err: err}
	}
	return os.NewFile(uintptr(handle), file), nil
}
