package guide

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	udiff "github.com/aymanbagabas/go-udiff"

	"clicktocode.example/workshop/course"
	"clicktocode.example/workshop/gotest"
)

// lines is the face without a screen: it prints, and paints over nothing. A
// line of input is a key.
func (s *session) lines(config Config, saved <-chan *course.Exercise) error {
	keys := make(chan string)
	go func() { // ends with its input, or with the program: a read cannot be cancelled
		defer close(keys)
		in := bufio.NewScanner(config.In)
		for in.Scan() {
			select {
			case keys <- strings.TrimSpace(in.Text()):
			case <-s.ctx.Done():
				return
			}
		}
	}()
	f := &lineFace{session: s, Config: config}
	f.head()
	for {
		select {
		case <-s.ctx.Done():
			return nil
		case e := <-saved:
			if e == nil {
				return nil
			}
			other := e != s.exercise()
			s.save(e)
			if other {
				f.head()
			}
			f.print("%s saved, testing …", e.Name)
		case o := <-s.done:
			f.outcome(o)
		case key, more := <-keys:
			if !more {
				keys = nil
				continue
			}
			if f.key(key) {
				return nil
			}
		}
	}
}

type lineFace struct {
	*session
	Config
}

func (f *lineFace) print(format string, args ...any) {
	fmt.Fprintf(f.Out, strings.TrimRight(format, "\n")+"\n", args...)
}

func (f *lineFace) head() {
	e := f.exercise()
	f.print("\n%d of %d solved. %s", f.solved(), len(f.states), keysHelp)
	if f.solved() == 0 && f.at == 0 {
		f.print("\n%s", welcome)
	}
	f.print("\n%s\n\n%s\n", f.Page.Head(e), f.Page.Markdown(e.Task))
}

const keysHelp = "Keys, each behind Enter: r run, h hint, l lesson, d diff, o all output, e exercises, n next, q quit."

func (f *lineFace) outcome(o outcome) {
	before := f.exercise()
	if !f.take(o) {
		return
	}
	if f.fault != nil {
		f.print("%v", f.fault)
		return
	}
	e := f.states[o.at].Exercise
	f.print("\n%s", f.Page.Verdict(e, o.verdict))
	f.print("%s", f.Page.Faint(fmt.Sprintf("(tested in %s)", o.took.Round(10*time.Millisecond))))
	if o.verdict.Kind == gotest.Solved {
		f.print("%s", f.Page.Markdown("**Try it.** "+e.Try))
	}
	switch {
	case f.next(-1) < 0:
		f.print("\n%s", allSolved(len(f.states)))
	case f.exercise() != before:
		f.head()
	}
}

const welcome = "Open the file in your editor, write, and save: it is tested at once. New to this? l shows the lesson."

func allSolved(n int) string {
	return fmt.Sprintf("All %d exercises are solved. Run the service on your own code: go run ./workshop up --mine", n)
}

// key does what a key asks for. It reports whether to quit.
func (f *lineFace) key(key string) (quit bool) {
	e := f.exercise()
	verb, arg, _ := strings.Cut(key, " ")
	switch verb {
	case "":
	case "q":
		return true
	case "r":
		f.test()
	case "h":
		if f.hint() {
			f.print("%s\n%s", f.Page.Bold(fmt.Sprintf("Hint %d of %d", f.hints, len(e.Hints))), f.Page.Markdown(e.Hints[f.hints-1]))
		} else {
			f.print("That were all %d hints. d shows the difference to the reference.", len(e.Hints))
		}
	case "l":
		f.print("%s", f.Page.Markdown(e.LessonWithoutHints()))
	case "d":
		f.print("%s", difference(e))
	case "o":
		f.print("%s", f.verdict().Rest)
	case "e":
		if arg == "" {
			f.print("%sTo open one: e and its name, as in: e %s", f.Page.List(f.states, e), e.Name)
		} else if chosen, err := f.course.Exercise(arg); err != nil {
			f.print("%v", err)
		} else {
			f.turn(f.index(chosen))
		}
	case "n":
		if next := f.next(f.at); next >= 0 {
			f.turn(next)
		} else {
			f.print("%s", allSolved(len(f.states)))
		}
	default:
		f.print("There is no key %q. %s", key, keysHelp)
	}
	return false
}

func (f *lineFace) turn(at int) {
	f.open(at)
	f.praise = nil
	f.head()
	f.test()
}

// difference is what a learner's files lack of the reference, or why that is not known.
func difference(e *course.Exercise) string {
	text, err := e.Diff(udiff.Unified)
	switch {
	case err != nil:
		return err.Error()
	case text == "":
		return "Your files are the reference, to the letter."
	}
	return text
}
