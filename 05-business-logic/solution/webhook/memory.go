package webhook

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// memory knows which events were here, each for a certain time, and so many at most.
type memory struct {
	most int
	keep time.Duration

	mu    sync.Mutex // guards what follows
	known map[string]struct{}
	order []arrival // the same, the oldest first
}

type arrival struct {
	id string
	at time.Time
}

func newMemory(most int, keep time.Duration) *memory {
	return &memory{most: most, keep: keep, known: map[string]struct{}{}}
}

// add remembers the event of that ID. ErrReplayed: it is remembered already.
// ErrFull: no other can be, until the oldest is forgotten. Of any number of calls
// for one ID at once, one gets no error.
//
// A full memory refuses, rather than to make room: otherwise an old event could be
// replayed by who sends enough of new ones.
func (m *memory) add(id string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.order) > 0 && now.Sub(m.order[0].at) > m.keep {
		delete(m.known, m.order[0].id)
		m.order = m.order[1:]
	}
	if _, again := m.known[id]; again {
		return fmt.Errorf("%w: %q", ErrReplayed, id)
	}
	if len(m.order) >= m.most {
		return fmt.Errorf("%w: %d within %v", ErrFull, m.most, m.keep)
	}
	m.known[id] = struct{}{}
	m.order = append(m.order, arrival{id, now})
	return nil
}

// remove forgets the event of that ID, if it is remembered.
func (m *memory) remove(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, here := m.known[id]; !here {
		return
	}
	delete(m.known, id)
	for i, a := range slices.Backward(m.order) { // it came a moment ago
		if a.id == id {
			m.order = slices.Delete(m.order, i, i+1)
			return
		}
	}
}
