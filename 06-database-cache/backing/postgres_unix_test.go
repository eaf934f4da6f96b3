//go:build unix

package backing_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// interruptGroup does what a terminal does at Ctrl-C.
func interruptGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }

// processes returns those that work in dir: the supervisor, the server, and all
// that it has started. Only Linux tells.
func processes(dir string) (all []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		at, err := os.Readlink(link)
		if err == nil && (at == dir || strings.HasPrefix(at, dir+"/")) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
			all = append(all, fmt.Sprintf("%s in %s: %.60s", filepath.Dir(link), at, bytes.ReplaceAll(bytes.TrimRight(command, "\x00"), []byte{0}, []byte{' '})))
		}
	}
	return all
}

func parentOf(t *testing.T, pid int) *os.Process {
	t.Helper()
	out, err := exec.Command("ps", "-o", "ppid=", "-p", fmt.Sprint(pid)).Output()
	require.NoError(t, err)
	parent, err := strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	process, err := os.FindProcess(parent)
	require.NoError(t, err)
	return process
}
