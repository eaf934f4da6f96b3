// Package proc starts programs that cannot outlive the tool: each gets a group
// of its own (a process group; on Windows a job), and whatever it starts ends
// with it.
package proc

import (
	"context"
	"os/exec"
	"time"
)

// Grace is how long a program that was asked to stop may take, before it and
// all that it started is killed, where there is no reason for another time.
const Grace = 3 * time.Second

// Process is a running program with all that it starts.
type Process struct {
	cmd   *exec.Cmd
	group group
	ended chan struct{}
	err   error
}

// Start starts cmd in a group of its own. When ctx ends, cmd is interrupted;
// what is left of its group after grace, or after cmd itself has ended, is
// killed. Call Wait, or wait for Done: cmd's files are in use until then.
func Start(ctx context.Context, grace time.Duration, cmd *exec.Cmd) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	// A grandchild that holds a pipe open must not hold up Wait for ever.
	cmd.WaitDelay = grace
	prepare(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, group: newGroup(cmd), ended: make(chan struct{})}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-p.ended:
			return
		case <-ctx.Done():
			p.group.interrupt()
		}
		select {
		case <-p.ended:
		case <-time.After(grace):
			p.group.kill()
		}
	}()
	go func() {
		p.err = cmd.Wait()
		p.group.kill() // whatever it left behind
		close(p.ended)
		<-watched
		p.group.close()
	}()
	return p, nil
}

// Run starts cmd as Start does, with Grace, and waits for it.
func Run(ctx context.Context, cmd *exec.Cmd) error {
	p, err := Start(ctx, Grace, cmd)
	if err != nil {
		return err
	}
	return p.Wait()
}

// Wait returns how the program ended, as exec.Cmd's Wait does.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Done is closed when the program has ended, and all that it started.
func (p *Process) Done() <-chan struct{} { return p.ended }

// Kill ends the program and all that it started, at once. It does not wait.
func (p *Process) Kill() {
	select {
	case <-p.ended: // its number may belong to somebody else by now
	default:
		p.group.kill()
	}
}

// Pid is the program's process ID.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Orphaned returns a context that ends with parent, or when the process that
// started this one is gone: `go run` that is killed does not take along what
// it runs. stop frees what is held.
func Orphaned(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	gone := parentGone()
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if gone() {
					cancel()
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(); <-done }
}
