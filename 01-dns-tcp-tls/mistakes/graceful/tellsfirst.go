//go:build ignore

// It tells the handlers first, and locks the door then. Clients whose handlers
// send them away come in again by the same door, for as long as it is open.
//
//workshop:caught-by TestShutdown/closes_the_listener_before_it_tells_handlers
//workshop:says The listener comes first
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
	s.windUp()
	if ln == nil {
		return nil
	}
	ln.Close()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
	return fmt.Errorf("graceful: cut the last connections: %w", ctx.Err())
}
