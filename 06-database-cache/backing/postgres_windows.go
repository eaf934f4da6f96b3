package backing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// executable returns this program's own file.
func executable() (string, error) { return os.Executable() }

// leadGroup keeps the console's Ctrl-C from cmd.
func leadGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &windows.SysProcAttr{}
	}
	cmd.SysProcAttr.CreationFlags |= windows.CREATE_NEW_PROCESS_GROUP
	if cmd.Cancel != nil {
		cmd.WaitDelay = 2 * time.Second
	}
}

// serverAccount: pg_ctl and initdb give up an administrator's rights by themselves.
func serverAccount() (*account, error) { return nil, nil }

func runAs(*exec.Cmd, *account) {}

// exec starts the server by pg_ctl, which an administrator needs, and puts it into
// a job: Windows ends that with its last handle, so with the supervisor.
func (c *cluster) exec(settings []string) (wait func() error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for i, arg := range settings {
		if strings.ContainsAny(arg, ` "`) {
			settings[i] = `"` + strings.ReplaceAll(arg, `"`, `\"`) + `"`
		}
	}
	cmd := c.control(ctx, "start", "-W", "-l", c.logFile(), "-o", strings.Join(settings, " "))
	// Its files must not be ours: the server would hold them open.
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("pg_ctl start: %w", err)
	}
	for {
		if c.pid, err = pidFromFile(c.data()); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("pg_ctl has started no server%s", indented(c.logFrom(0)))
		case <-time.After(10 * time.Millisecond):
		}
	}
	process, err := os.FindProcess(c.pid)
	if err != nil { // it has ended: the caller reads why
		return func() error { return err }, nil
	}
	job, err := jobOf(c.pid)
	if err != nil {
		return nil, errors.Join(err, process.Kill())
	}
	c.signal = func(how shutdown) error {
		if how == kill {
			return process.Kill()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return c.control(ctx, "stop", "-W", "-m", map[shutdown]string{fast: "fast", immediate: "immediate"}[how]).Run()
	}
	return func() error {
		state, err := process.Wait()
		if err == nil && !state.Success() {
			err = errors.New(state.String())
		}
		return errors.Join(err, windows.CloseHandle(job))
	}, nil
}

func (c *cluster) control(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Binaries.path("pg_ctl"), append([]string{"-D", c.data()}, args...)...)
	cmd.Dir, cmd.Env = c.folder, serverEnv()
	leadGroup(cmd)
	return cmd
}

// startTied starts cmd in a job, which Windows ends with its last handle: with the
// supervisor, which never closes it.
func startTied(cmd *exec.Cmd, _ os.Signal) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	if _, err := jobOf(cmd.Process.Pid); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return nil
}

// memoryDir: there is none.
func memoryDir() string { return "" }

// jobOf returns a new job that holds the process. What it has started already is
// not in it, but the server's children end with the server by themselves.
func jobOf(pid int) (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
		},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err == nil {
		var process windows.Handle
		process, err = windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
		if err == nil {
			err = errors.Join(windows.AssignProcessToJobObject(job, process), windows.CloseHandle(process))
		}
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("a job object: %w", err), windows.CloseHandle(job))
	}
	return job, nil
}

// lockFile locks f, for one alone or shared by many, and waits for it as long as
// ctx lasts, though it always tries once. The lock lasts until f is closed.
func lockFile(ctx context.Context, f *os.File, alone bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	return retryLock(ctx, func() (taken bool, err error) {
		_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &windows.Overlapped{}) // to ask for another kind would wait for ourselves
		err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
		return err == windows.ERROR_LOCK_VIOLATION, err
	})
}

// ours: below a user's own folder for temporary files all is the user's.
func ours(os.FileInfo) bool { return true }
