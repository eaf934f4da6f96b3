package backing

import (
	"os/exec"
	"syscall"
)

// startTied starts cmd, which the kernel kills when the supervisor is gone.
func startTied(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Start()
}
