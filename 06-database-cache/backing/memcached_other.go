//go:build !linux && !windows

package backing

import "os/exec"

// startTied starts cmd. Here it outlives a supervisor that is killed by itself: see
// endWithParent.
func startTied(cmd *exec.Cmd) error { return cmd.Start() }
