package verify

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"

	"clicktocode.example/workshop/proc"
)

// index compares what git has of exercise/ with what the solutions give. The
// working tree does not count: there a learner writes.
func (v *verifier) index(ctx context.Context) {
	if _, err := exec.LookPath("git"); err != nil {
		v.note("exercise/ was not compared with git's index: git was not found")
		return
	}
	if _, p := command(ctx, v.course.Root, nil, "git", "rev-parse", "--git-dir"); p != "" {
		v.note("exercise/ was not compared with git's index: this is no clone made by git")
		return
	}
	for _, e := range v.exercises {
		dir := e.Chapter.Name + "/exercise/" + e.Name
		starter, err := e.Starter()
		if err != nil {
			continue // reported where it is laid
		}
		out, p := command(ctx, v.course.Root, nil, "git", "ls-files", "-z", "--", dir)
		if p != "" {
			v.report(e.Name+" in git is what its solution gives", p)
			continue
		}
		var problems []string
		for _, path := range strings.FieldsFunc(out, func(r rune) bool { return r == 0 }) {
			name := strings.TrimPrefix(path, dir+"/")
			text, expected := starter[name]
			delete(starter, name)
			if !expected {
				problems = append(problems, path+" has no counterpart in solution/")
				continue
			}
			have, err := staged(ctx, v.course.Root, path)
			if err != nil {
				problems = append(problems, err.Error())
			} else if !bytes.Equal(have, text) {
				problems = append(problems, path+" differs")
			}
		}
		for name := range starter {
			problems = append(problems, dir+"/"+name+" is missing")
		}
		if len(problems) > 0 {
			problems = append(problems, fmt.Sprintf("run `go run ./workshop generate %s`, and `git add %s`", e.Name, dir))
		}
		v.report(e.Name+" in git is what its solution gives", problems...)
	}
}

// staged is a file as git's index has it.
func staged(ctx context.Context, root, path string) ([]byte, error) {
	var out, stderr bytes.Buffer
	cmd := exec.Command("git", "show", ":"+path)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, &out, &stderr
	if err := proc.Run(ctx, cmd); err != nil {
		return nil, fmt.Errorf("git show :%s: %w: %s", path, err, stderr.String())
	}
	return out.Bytes(), nil
}
