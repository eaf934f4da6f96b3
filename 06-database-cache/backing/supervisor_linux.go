package backing

import (
	"os"
	"os/exec"
	"syscall"
)

// startTied starts cmd, to which the kernel sends last when the supervisor is gone.
func startTied(cmd *exec.Cmd, last os.Signal) error {
	cmd.SysProcAttr.Pdeathsig = last.(syscall.Signal)
	return cmd.Start()
}

// memoryDir returns a folder whose files are in memory, if it has room for plenty,
// which in a container it often has not. A copy that is thrown away soon is made
// there several times as fast as on a disk that others write to.
func memoryDir() string {
	const dir, plenty = "/dev/shm", 1 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || uint64(fs.Bavail)*uint64(fs.Bsize) < plenty || syscall.Access(dir, 2|1) != nil {
		return ""
	}
	return dir
}
