package ordering

import (
	"context"
	"strings"
	"sync"
)

// turns lets one at a time do something under a name. The zero value is ready.
type turns struct {
	mu    sync.Mutex       // guards what follows
	names map[string]*turn // those that somebody has, or waits for
}

type turn struct {
	free chan struct{} // holds one while nobody has the name
	n    int           // how many have it or wait for it
}

// take waits until nobody else has name, or ctx is done: that is the error then.
// Whoever has it calls done.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	t.mu.Lock()
	at := t.names[name]
	if at == nil {
		if t.names == nil {
			t.names = map[string]*turn{}
		}
		at = &turn{free: make(chan struct{}, 1)}
		at.free <- struct{}{}
		t.names[name] = at
	}
	at.n++
	t.mu.Unlock()

	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if at.n--; at.n == 0 {
			delete(t.names, name)
		}
	}
	select {
	case <-at.free:
		return func() { at.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// family is the name under which an order's ID is placed by one at a time: that of
// its first attempt. See Service.Place.
func family(id string) string {
	first, _, _ := strings.Cut(id, "-")
	return first
}
