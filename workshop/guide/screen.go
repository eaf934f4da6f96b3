package guide

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"charm.land/bubbles/v2/viewport"
	tea "charm.land/bubbletea/v2"

	"clicktocode.example/workshop/course"
)

// screen is the face on a terminal.
func (s *session) screen(config Config, saved <-chan *course.Exercise) error {
	m := &screenFace{session: s, Config: config, saved: saved, body: viewport.New()}
	m.body.SoftWrap = true
	m.fill()
	p := tea.NewProgram(m, tea.WithInput(config.In), tea.WithOutput(config.Out), tea.WithoutSignalHandler())
	// Not tea.WithContext: a program that is killed closes its input while that is still being read.
	defer context.AfterFunc(s.ctx, p.Quit)()
	_, err := p.Run()
	if errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

// sheet is what the body shows.
type sheet int

const (
	taskSheet sheet = iota
	lessonSheet
	diffSheet
	outputSheet
	listSheet
)

type screenFace struct {
	*session
	Config
	saved  <-chan *course.Exercise
	body   viewport.Model
	sheet  sheet
	cursor int    // in the list
	note   string // said once, in the last line
	height int
}

type savedMsg struct{ exercise *course.Exercise }

// Init waits for what the session has to tell.
func (m *screenFace) Init() tea.Cmd { return tea.Batch(m.nextSaved, m.nextOutcome) }

func (m *screenFace) nextSaved() tea.Msg {
	if e := <-m.saved; e != nil {
		return savedMsg{e}
	}
	return nil // the watcher ended, since the guide does
}

func (m *screenFace) nextOutcome() tea.Msg {
	select {
	case o := <-m.done:
		return o
	case <-m.ctx.Done():
		return nil
	}
}

// Update takes one message.
func (m *screenFace) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.Page.Width, m.height = msg.Width, msg.Height
		m.body.SetWidth(msg.Width)
		m.body.SetHeight(max(1, msg.Height-3)) // the head, the note and the keys
	case savedMsg:
		m.save(msg.exercise)
		m.sheet, m.note = taskSheet, msg.exercise.Name+" was saved"
		cmd = m.nextSaved
	case outcome:
		if m.take(msg) {
			m.note = ""
			if m.praise != nil {
				m.body.GotoTop()
			}
		}
		cmd = m.nextOutcome
	case tea.KeyPressMsg:
		if cmd, done := m.key(msg.String()); done {
			m.fill()
			return m, cmd
		}
		m.body, cmd = m.body.Update(msg)
		return m, cmd
	default:
		m.body, cmd = m.body.Update(msg)
		return m, cmd
	}
	m.fill()
	return m, cmd
}

// key does what a key asks for; what it does not know is for scrolling.
func (m *screenFace) key(key string) (cmd tea.Cmd, done bool) {
	m.note = ""
	if m.sheet == listSheet {
		switch key {
		case "up", "k":
			m.cursor = max(0, m.cursor-1)
			return nil, true
		case "down", "j":
			m.cursor = min(len(m.states)-1, m.cursor+1)
			return nil, true
		case "enter":
			m.turn(m.cursor)
			return nil, true
		}
	}
	switch key {
	case "q", "ctrl+c":
		return tea.Quit, true
	case "esc":
		m.show(taskSheet)
	case "r":
		m.show(taskSheet)
		m.test()
	case "h":
		m.show(taskSheet)
		if !m.hint() {
			m.note = "that were all hints, and d shows the difference to the reference"
		}
		m.fill()
		m.body.GotoBottom()
	case "l":
		m.show(lessonSheet)
	case "d":
		m.show(diffSheet)
	case "o":
		m.show(outputSheet)
	case "e":
		m.cursor = m.at
		m.show(listSheet)
	case "n":
		if m.praise != nil { // the next one is open already
			m.praise = nil
			m.show(taskSheet)
		} else if next := m.next(m.at); next >= 0 {
			m.turn(next)
		}
	default:
		return nil, false
	}
	return nil, true
}

// show turns to a sheet, or back to the task where that sheet is shown already.
func (m *screenFace) show(to sheet) {
	if m.sheet == to {
		to = taskSheet
	}
	m.sheet = to
	m.body.GotoTop()
}

func (m *screenFace) turn(at int) {
	m.open(at)
	m.praise = nil
	m.sheet = taskSheet
	m.body.GotoTop()
	m.test()
}

// fill sets the body's text.
func (m *screenFace) fill() {
	e := m.exercise()
	var text string
	switch m.sheet {
	case taskSheet:
		text = m.task(e)
	case lessonSheet:
		text = m.Page.Markdown(e.LessonWithoutHints())
	case diffSheet:
		text = difference(e)
	case outputSheet:
		text = m.verdict().Rest
	case listSheet:
		text = m.Page.List(m.states, m.states[m.cursor].Exercise)
	}
	m.body.SetContent(text)
}

// task is the sheet that a learner works from: what was just solved, where to
// write, what to write, what is wrong first, and the hints taken so far.
func (m *screenFace) task(e *course.Exercise) string {
	var b strings.Builder
	if m.praise != nil {
		fmt.Fprintf(&b, "%s\n%s\n\n", m.Page.Good("✓ "+m.praise.Name+" is solved."), m.Page.Markdown("**Try it.** "+m.praise.Try))
	}
	if m.next(-1) < 0 {
		fmt.Fprintf(&b, "%s\n\n", m.Page.Good(allSolved(len(m.states))))
	}
	if m.solved() == 0 && m.at == 0 {
		fmt.Fprintf(&b, "%s\n\n", m.Page.Faint(welcome))
	}
	fmt.Fprintf(&b, "%s\n\n", m.Page.Head(e))
	fmt.Fprintf(&b, "%s\n\n", m.Page.Markdown(e.Task))
	switch {
	case m.fault != nil:
		fmt.Fprintf(&b, "%s\n", m.Page.Bad(m.fault.Error()))
	case m.tested:
		fmt.Fprint(&b, m.Page.Verdict(e, m.verdict()))
	}
	for i, hint := range e.Hints[:m.hints] {
		fmt.Fprintf(&b, "\n%s\n%s\n", m.Page.Bold(fmt.Sprintf("Hint %d of %d", i+1, len(e.Hints))), m.Page.Markdown(hint))
	}
	return b.String()
}

// View is the whole screen.
func (m *screenFace) View() tea.View {
	head := fmt.Sprintf("From Click to Code  %s  %d of %d solved", bar(m.solved(), len(m.states)), m.solved(), len(m.states))
	state := "waiting for a save"
	if m.cancel != nil {
		state = "testing " + m.exercise().Name + " …"
	}
	if m.note != "" {
		state = m.note + "; " + state
	}
	keys := "r run  h hint  l lesson  d diff  o output  e exercises  n next  q quit"
	if m.sheet == listSheet {
		keys = "up and down choose  enter opens  esc back  q quit"
	} else if m.sheet != taskSheet {
		keys = "up and down scroll  esc back  q quit"
	}
	v := tea.NewView(strings.Join([]string{m.Page.Bold(head), m.body.View(), m.Page.Faint(state), m.Page.Link(keys)}, "\n"))
	v.AltScreen = true
	v.WindowTitle = "From Click to Code"
	return v
}

func bar(n, of int) string {
	const cells = 20
	full := n * cells / max(1, of)
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}
