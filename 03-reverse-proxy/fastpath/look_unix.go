//go:build unix

package fastpath

import "syscall"

// canLook says that an idle connection can be looked at.
const canLook = true

// look is a look at a connection, without a wait.
type look struct {
	b     [1]byte
	quiet bool
}

// at is for syscall.RawConn.Read.
func (l *look) at(fd uintptr) bool {
	for {
		_, err := syscall.Read(int(fd), l.b[:]) // Go's sockets never block
		if err != syscall.EINTR {
			l.quiet = err == syscall.EAGAIN // nothing to read, and no end, either
			return true
		}
	}
}
