package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/derive"
)

func (v *verifier) scratchOf(ch *course.Chapter) string { return filepath.Join(v.scratch, ch.Name) }

// mistakePackage is where a mistake stands in the scratch copy, below its
// chapter: like all packages, at a path that ends in its name.
func mistakePackage(e *course.Exercise, m *derive.Mistake) string {
	return "mistaken/" + m.Name + "/" + e.Name
}

// lay makes the scratch copy: all chapters without exercise/ and mistakes/,
// the starters derived anew, and each mistake as a package. Files that are
// right already are left alone, so that Go's caches know them again.
func (v *verifier) lay() error {
	want := map[string][]byte{}
	work := "go 1.26.0\n"
	for _, ch := range v.course.Chapters {
		work += "\nuse ./" + ch.Name + "\n"
		err := filepath.WalkDir(ch.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(v.course.Root, path)
			if err != nil {
				return err
			}
			rel = filepath.ToSlash(rel)
			if d.IsDir() && (rel == ch.Name+"/exercise" || rel == ch.Name+"/mistakes" || strings.HasPrefix(d.Name(), ".")) {
				return filepath.SkipDir
			}
			if !d.Type().IsRegular() {
				return nil
			}
			want[rel], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
	}
	want["go.work"] = []byte(work)
	if sum, err := os.ReadFile(filepath.Join(v.course.Root, "go.work.sum")); err == nil {
		want["go.work.sum"] = sum
	}
	for _, e := range v.exercises {
		if err := v.layExercise(e, want); err != nil {
			v.report(e.Name+" can be derived", problem(err)...)
		}
	}
	return sync(v.scratch, want)
}

func (v *verifier) layExercise(e *course.Exercise, want map[string][]byte) error {
	starter, err := e.Starter()
	if err != nil {
		return err
	}
	for name, text := range starter {
		want[e.Chapter.Name+"/exercise/"+e.Name+"/"+name] = text
	}
	solution, tests := map[string][]byte{}, map[string][]byte{}
	files, err := course.Files(e.SolutionDir())
	if err != nil {
		return err
	}
	for name, text := range files {
		switch {
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			solution[name] = text
		default:
			tests[name] = text
		}
	}
	mistakes, err := e.Mistakes()
	faults := []error{err}
	for _, m := range mistakes {
		mistaken, err := m.Apply(solution)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		dir := e.Chapter.Name + "/" + mistakePackage(e, m) + "/"
		for name, text := range mistaken {
			want[dir+name] = text
		}
		for name, text := range tests {
			if strings.HasSuffix(name, "_test.go") {
				text, err = derive.Retarget(name, text, e.SolutionPackage(), e.Chapter.Module+"/"+mistakePackage(e, m))
				faults = append(faults, err)
			}
			want[dir+name] = text
		}
	}
	return errors.Join(faults...)
}

// sync makes dir hold the files of want and no others.
func sync(dir string, want map[string][]byte) error {
	have, err := course.Files(dir)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	changed := map[string][]byte{}
	for name, text := range want {
		if old, ok := have[name]; !ok || !bytes.Equal(old, text) {
			changed[name] = text
		}
	}
	for name := range have {
		if _, stays := want[name]; !stays {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return fmt.Errorf("verify: %w", err)
			}
		}
	}
	if err := course.Write(dir, changed); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}
