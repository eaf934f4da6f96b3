//go:build !linux && !windows

package backing

import (
	"os"
	"os/exec"
)

// startTied starts cmd. Only Linux tells a process that its parent is gone, and
// Windows has jobs: here a server outlives a supervisor that is killed by itself.
func startTied(cmd *exec.Cmd, _ os.Signal) error { return cmd.Start() }

// memoryDir: there is none.
func memoryDir() string { return "" }
