package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/proc"
)

// Program is a chapter's main, built.
type Program struct {
	Chapter *course.Chapter
	Path    string // of the executable
	State   string // WORKSHOP_DIR
	Description
	// Mine are the learner's exercises that are in it; the others are the
	// reference's. Misfits are solved ones that could not be built with the
	// rest, and why.
	Mine    []*course.Exercise
	Misfits map[*course.Exercise]string
}

// Build builds the main of ch. mine are exercises whose packages take the
// place of the reference's; one that does not fit is left out, and is told in
// Misfits.
func Build(ctx context.Context, c *course.Course, ch *course.Chapter, mine []*course.Exercise) (*Program, error) {
	state, err := c.StateDir()
	if err != nil {
		return nil, err
	}
	p := &Program{Chapter: ch, State: state, Misfits: map[*course.Exercise]string{}}
	name := ch.Name
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	p.Path = filepath.Join(state, "bin", name)
	if err := os.MkdirAll(filepath.Dir(p.Path), 0o700); err != nil {
		return nil, fmt.Errorf("stack: %w", err)
	}
	if err := p.build(ctx, mine); err != nil {
		return nil, err
	}
	if err := p.describe(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// build tries all of mine together. If that does not compile, those that do
// not compile alone are misfits; if the rest still does not, it is taken in one
// by one.
func (p *Program) build(ctx context.Context, mine []*course.Exercise) error {
	if len(mine) == 0 {
		return p.compile(ctx, nil)
	}
	if p.compile(ctx, mine) == nil {
		p.Mine = mine
		return nil
	}
	for _, e := range mine {
		if err := p.compile(ctx, append(slices.Clone(p.Mine), e)); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			p.Misfits[e] = err.Error()
		} else {
			p.Mine = append(p.Mine, e)
		}
	}
	return p.compile(ctx, p.Mine)
}

func (p *Program) compile(ctx context.Context, mine []*course.Exercise) error {
	args := []string{"build", "-o", p.Path}
	if len(mine) > 0 {
		overlay, err := writeOverlay(mine)
		if err != nil {
			return err
		}
		defer os.Remove(overlay)
		args = append(args, "-overlay="+overlay)
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = p.Chapter.Dir
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := proc.Run(ctx, cmd); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%s does not build:\n%s", p.Chapter.Name, strings.TrimSpace(said.String()))
	}
	return nil
}

// writeOverlay puts the learner's files where the reference's are: see `go help
// build`, -overlay.
func writeOverlay(mine []*course.Exercise) (string, error) {
	replace := map[string]string{}
	for _, e := range mine {
		for dir, with := range map[string]bool{e.SolutionDir(): false, e.Dir(): true} {
			files, err := course.Files(dir)
			if err != nil {
				return "", fmt.Errorf("stack: %w", err)
			}
			for name := range files {
				if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/") {
					continue
				}
				target := filepath.Join(e.SolutionDir(), name)
				if with {
					replace[target] = filepath.Join(e.Dir(), name)
				} else if _, mine := replace[target]; !mine {
					replace[target] = "" // gone, unless the learner has one of that name
				}
			}
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("stack: %w", err)
	}
	f, err := os.CreateTemp("", "workshop-overlay-*.json")
	if err != nil {
		return "", fmt.Errorf("stack: %w", err)
	}
	_, err = f.Write(text)
	return f.Name(), errors.Join(err, f.Close())
}

// describe asks the program what it is.
func (p *Program) describe(ctx context.Context) error {
	cmd := p.command("-describe")
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := proc.Run(ctx, cmd); err != nil {
		return fmt.Errorf("%s -describe: %w: %s", p.Chapter.Name, err, said.String())
	}
	return decode([]byte(out.String()), &p.Description)
}

func (p *Program) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.Path, args...)
	cmd.Dir = p.Chapter.Dir
	cmd.Env = append(os.Environ(), "WORKSHOP_DIR="+p.State)
	return cmd
}
