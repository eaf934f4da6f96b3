//go:build unix

package backing

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// executable returns this program's own file.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		// It leads to what runs, even if the file was replaced or removed since.
		const self = "/proc/self/exe"
		if _, err := os.Stat(self); err == nil {
			return self, nil
		}
	}
	return os.Executable()
}

// leadGroup makes cmd lead a process group of its own, and a context that ends
// kills all of it.
func leadGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if cmd.Cancel != nil {
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = 2 * time.Second
	}
}

// serverAccount returns whom a server runs as: nil for ourselves.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name) // initdb wants to know its user's name, so a number would not do
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &account{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
		}
	}
	return nil, errors.New("backing: PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as: run this as another user, or add one (useradd --system postgres)")
}

// runAs makes cmd run as another user, and in none of our groups.
func runAs(cmd *exec.Cmd, as *account) {
	if as == nil {
		return
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: as.UID, Gid: as.GID}
}

// exec starts the server's process, and returns how to wait for it.
func (c *cluster) exec(settings []string) (wait func() error, err error) {
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.Binaries.path("postgres"), append([]string{"-D", c.data()}, settings...)...)
	cmd.Dir, cmd.Env = "/", serverEnv()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{c.lock}
	runAs(cmd, c.Binaries.Account)
	leadGroup(cmd)
	if err := startTied(cmd, syscall.SIGQUIT); err != nil { // it takes along its children and shared memory
		return nil, err
	}
	c.pid = cmd.Process.Pid
	c.signal = func(how shutdown) error {
		return cmd.Process.Signal(map[shutdown]os.Signal{fast: syscall.SIGINT, immediate: syscall.SIGQUIT, kill: syscall.SIGKILL}[how])
	}
	return cmd.Wait, nil
}

// lockFile locks f, for one alone or shared by many, and waits for it as long as
// ctx lasts, though it always tries once. The lock lasts until all copies of f are
// closed, in children too.
func lockFile(ctx context.Context, f *os.File, alone bool) error {
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	return retryLock(ctx, func() (taken bool, err error) {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		return err == syscall.EWOULDBLOCK || err == syscall.EINTR, err
	})
}

// belongs reports whether a file is a user's.
func belongs(info os.FileInfo, uid uint32) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == uid
}

// ours reports whether a file is this user's.
func ours(info os.FileInfo) bool { return belongs(info, uint32(os.Geteuid())) }
