package guide

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"clicktocode.example/workshop/course"
)

// pollEvery is how often files are looked at where the system tells of no
// change, as on a network drive or a folder mounted into WSL.
const pollEvery = time.Second

// watch sends each exercise whose files were saved, until ctx ends; then it
// closes the channel. A file counts as saved when its time or size changed, so
// it does not matter who tells of it: the system, soon, or the next look.
func watch(ctx context.Context, c *course.Course) <-chan *course.Exercise {
	saved := make(chan *course.Exercise)
	w := &watcher{course: c, known: map[string]stamp{}}
	w.look() // what is there now is not news
	go func() {
		defer close(saved)
		w.run(ctx, saved)
	}()
	return saved
}

// stamp tells one version of a file from another.
type stamp struct {
	time time.Time
	size int64
}

type watcher struct {
	course *course.Course
	known  map[string]stamp
}

func (w *watcher) run(ctx context.Context, saved chan<- *course.Exercise) {
	var events <-chan fsnotify.Event
	var faults <-chan error
	if notify, err := fsnotify.NewWatcher(); err == nil {
		defer notify.Close()
		for _, e := range w.course.Exercises() {
			_ = notify.Add(e.Dir()) // where it cannot, looking now and then does
		}
		events, faults = notify.Events, notify.Errors
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-faults: // events were lost: look
		case <-tick.C:
		case event := <-events:
			if !strings.HasSuffix(event.Name, ".go") {
				continue
			}
		}
		for _, e := range w.look() {
			select {
			case saved <- e:
			case <-ctx.Done():
				return
			}
		}
	}
}

// look returns the exercises with Go files that are new, gone or changed since
// the last look.
func (w *watcher) look() []*course.Exercise {
	var changed []*course.Exercise
	for _, e := range w.course.Exercises() {
		if w.changed(e.Dir()) {
			changed = append(changed, e)
		}
	}
	return changed
}

func (w *watcher) changed(dir string) bool {
	news := false
	seen := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false // it comes back, with its files
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasPrefix(entry.Name(), ".") {
			continue // an editor's own files
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		seen[path] = true
		now := stampOf(info)
		if w.known[path] != now {
			w.known[path] = now
			news = true
		}
	}
	for path := range w.known {
		if filepath.Dir(path) == dir && !seen[path] {
			delete(w.known, path)
			news = true
		}
	}
	return news
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.ModTime(), info.Size()} }
