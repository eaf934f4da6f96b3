//go:build unix

package proc

import (
	"os/exec"
	"syscall"
)

// group is the process group that a program leads.
type group struct{ pid int }

func prepare(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

func newGroup(cmd *exec.Cmd) group { return group{cmd.Process.Pid} }

// The errors say that nobody is left to be told.

func (g group) interrupt() { _ = syscall.Kill(-g.pid, syscall.SIGINT) }
func (g group) kill()      { _ = syscall.Kill(-g.pid, syscall.SIGKILL) }
func (g group) close()     {}

// parent started this process. It is asked for before anything else: a parent
// that is gone has left its place to another.
var parent = syscall.Getppid()

// parentGone reports, when it is asked, whether the parent is gone.
func parentGone() func() bool {
	return func() bool { return syscall.Getppid() != parent }
}

// Alive reports whether a process of that ID exists.
func Alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}
