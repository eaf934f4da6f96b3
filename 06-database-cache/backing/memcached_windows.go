package backing

import (
	"errors"
	"os/exec"
)

// startTied starts cmd in a job, which Windows ends with its last handle: with the
// supervisor, which never closes it.
func startTied(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := jobOf(cmd.Process.Pid); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return nil
}
