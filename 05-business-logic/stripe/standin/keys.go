package standin

import (
	"fmt"
	"net/http"
	"time"
)

// remembered is what was answered to a key, and to what.
type remembered struct {
	key    string
	params string
	at     time.Time
	lost   int // how often the answer is lost on the way
	reply  reply
	done   bool
}

// once does work, if key was not here in the last 24 hours. If it was, and for the
// same, it answers as it did then. Otherwise, or if work is still at it, it refuses.
func (s *Server) once(w http.ResponseWriter, key, params string, work func() reply) reply {
	entry, refusal := s.begin(w, key, params)
	if refusal != nil {
		return *refusal
	}
	if entry == nil { // done, and answered before
		panic(http.ErrAbortHandler)
	}
	finished := false
	defer func() {
		if !finished {
			s.forget(entry) // work panicked
		}
	}()
	a := work()
	finished = true
	// Only what the work itself has decided is kept. A request that could not be read
	// may come again, mended, under the same key.
	if a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusBadRequest || a.status == http.StatusNotFound {
		s.forget(entry)
		return a
	}
	s.mu.Lock()
	entry.reply, entry.done = a, true
	lost := entry.lost > 0
	if lost {
		entry.lost--
	}
	s.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler)
	}
	return a
}

// begin notes that work is done for key. Otherwise it returns a refusal, or what was
// answered before; or neither, if that is lost again.
func (s *Server) begin(w http.ResponseWriter, key, params string) (*remembered, *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.c.Now()
	for len(s.order) > 0 && (s.order[0].key == "" || now.Sub(s.order[0].at) > Lifetime) {
		if s.keys[s.order[0].key] == s.order[0] {
			delete(s.keys, s.order[0].key)
			delete(s.attempts, s.order[0].key)
		}
		s.order = s.order[1:]
	}
	before, known := s.keys[key]
	if !known {
		entry := &remembered{key: key, params: params, at: now}
		if hasMethod(params, "pm_standin_lost") {
			entry.lost = 2
		}
		s.keys[key] = entry
		s.order = append(s.order, entry)
		return entry, nil
	}
	refusal := func(status int, code, message string) *reply {
		r := apiError{Type: "idempotency_error", Code: code, Message: message}.reply(status)
		return &r
	}
	switch {
	case before.params != params:
		return nil, refusal(400, "", fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key))
	case !before.done:
		return nil, refusal(409, "idempotency_key_in_use", fmt.Sprintf("There is currently another in-progress request using this Idempotent Key: %s.", key))
	case before.lost > 0:
		before.lost--
		return nil, nil
	}
	w.Header().Set("Idempotent-Replayed", "true")
	return nil, &before.reply
}

// forget forgets what was begun.
func (s *Server) forget(entry *remembered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, entry.key)
	entry.key = "" // order drops it when it comes to it
}
