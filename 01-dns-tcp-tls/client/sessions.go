package client

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

// sessions remembers TLS sessions (RFC 8446 §2.2) beyond the life of a
// process, in a file for its owner alone: who has a session's secret, can
// speak as this client. It is a tls.ClientSessionCache.
//
// A server takes back its own tickets only, and only while it runs; crypto/tls
// checks the certificate's end and its authority once more. So whatever is in
// the file, the worst is a full handshake.
type sessions struct {
	file string

	mu   sync.Mutex // guards what follows
	kept map[string]*tls.ClientSessionState
}

// saved is a session in the file.
type saved struct {
	Ticket []byte `json:"ticket"`
	State  []byte `json:"state"`
}

// openSessions reads file. What cannot be read is not remembered.
func openSessions(file string) *sessions {
	s := &sessions{file: file, kept: map[string]*tls.ClientSessionState{}}
	var all map[string]saved
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &all) != nil {
		return s
	}
	for key, one := range all {
		state, err := tls.ParseSessionState(one.State)
		if err != nil {
			continue
		}
		if session, err := tls.NewResumptionState(one.Ticket, state); err == nil {
			s.kept[key] = session
		}
	}
	return s
}

// Get returns the session last kept for key, which is the server's name.
func (s *sessions) Get(key string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, ok := s.kept[key]
	return session, ok
}

// Put keeps session for key, or forgets what was kept when session is nil.
func (s *sessions) Put(key string, session *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session == nil {
		delete(s.kept, key)
	} else {
		s.kept[key] = session
	}
}

// save writes the file, for the next process.
func (s *sessions) save() error {
	s.mu.Lock()
	all := map[string]saved{}
	var errs []error
	for key, session := range s.kept {
		ticket, state, err := session.ResumptionState()
		if err != nil || state == nil {
			continue // it cannot be resumed, so there is nothing to keep
		}
		octets, err := state.Bytes()
		errs = append(errs, err)
		all[key] = saved{ticket, octets}
	}
	s.mu.Unlock()

	text, err := json.Marshal(all)
	if err = errors.Join(append(errs, err)...); err == nil {
		err = stage.WriteFile(s.file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("client: cannot keep TLS sessions: %w", err)
	}
	return nil
}
