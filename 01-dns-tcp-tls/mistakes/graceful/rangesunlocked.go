//go:build ignore

// It takes the map out of the server under the lock, and ranges over it without.
// But a map is not copied by an assignment: both are the same map, and handlers
// that end in this moment delete from it.
//
//workshop:caught-by TestShutdown/looks_at_conns_under_the_lock_when_it_cuts
//workshop:says conns changed under its eyes
package graceful

import (
	"context"
	"fmt"
)

func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.shutDown = true
	ln := s.ln
	s.mu.Unlock()
	if ln == nil {
		return nil
	}
	ln.Close()
	s.windUp()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	for conn := range conns {
		conn.Close()
	}
	return fmt.Errorf("graceful: cut the last connections: %w", ctx.Err())
}
