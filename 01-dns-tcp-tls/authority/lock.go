package authority

import (
	"fmt"
	"time"
)

const (
	lockWithin = 5 * time.Second
	lockPoll   = 5 * time.Millisecond
)

// lock takes the lock that file stands for, which the system gives back when
// its holder ends, however it ends. A file that merely exists would stay
// behind a holder that was killed.
func lock(file string) (unlock func(), err error) {
	for deadline := time.Now().Add(lockWithin); ; time.Sleep(lockPoll) {
		held, err := tryLock(file)
		if err != nil {
			return nil, err
		}
		if held != nil {
			return func() { held.Close() }, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s is held by another process since over %s: end that process", file, lockWithin)
		}
	}
}
