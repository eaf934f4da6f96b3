package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/proc"
)

// clickWithin is how long a click may take, all its requests together.
const clickWithin = 60 * time.Second

// ErrNotRunning says that there is no stack to click on.
var ErrNotRunning = errors.New("no stack is running: start one in another terminal, with go run ./workshop up, and leave it there")

// Find returns the stack that up has running in this clone.
func Find(c *course.Course) (*Running, error) {
	state, err := c.StateDir()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(runningFile(state))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("stack: %w", err)
	}
	var r Running
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("stack: %s: %w: delete it, and start the stack again", runningFile(state), err)
	}
	if !proc.Alive(r.PID) {
		// Its up was killed, and could not tidy up.
		os.Remove(runningFile(state))
		return nil, ErrNotRunning
	}
	return &r, nil
}

// Click makes n requests to url, or to the stack's own address when url is
// empty, with the running chapter's client, and hands each to show.
func (r *Running) Click(ctx context.Context, c *course.Course, url string, n int, show func(Click)) error {
	if url == "" {
		url = r.URL
	}
	ch, err := c.Chapter(r.Chapter)
	if err != nil {
		return err
	}
	state, err := c.StateDir()
	if err != nil {
		return err
	}
	p := &Program{Chapter: ch, Path: r.Program, State: state}
	cmd := p.command("-role", "click", "-events", "-n", strconv.Itoa(n), url)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	ctx, cancel := context.WithTimeoutCause(ctx, clickWithin, fmt.Errorf("the click took over %s, and was given up", clickWithin))
	defer cancel()
	runErr := proc.Run(ctx, cmd)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if line == "" {
			continue
		}
		var e Event
		if err := decode([]byte(line), &e); err != nil {
			return err
		}
		switch e.Event {
		case "click":
			show(e.Click)
		case "failed":
			return errors.New(e.Error)
		}
	}
	if runErr != nil {
		return fmt.Errorf("the click failed: %w: %s", runErr, strings.TrimSpace(said.String()))
	}
	return nil
}
