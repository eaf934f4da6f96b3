//go:build !linux

package backing

import "os/exec"

// endWithParent: only Linux tells a process that its parent is gone, and Windows
// has jobs. Elsewhere a server outlives a supervisor that is killed by itself.
func endWithParent(*exec.Cmd) {}

// memoryDir: there is none.
func memoryDir() string { return "" }
