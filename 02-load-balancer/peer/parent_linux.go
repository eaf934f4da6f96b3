package peer

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end cmd's process when this one ends, even if it
// is killed. The signal is one that can be caught: an nginx that is killed
// leaves its workers behind.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
