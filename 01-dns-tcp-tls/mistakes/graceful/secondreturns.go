//go:build ignore

// It takes "shut down before" for "ended before". Whoever calls second, because
// a second signal came in, say, goes on at once and ends the program, under the
// feet of the requests that the first call is waiting for.
//
//workshop:caught-by TestShutdown/may_be_called_again
//workshop:says It must wait for the same handlers
package graceful

import (
	"context"
	"fmt"
)

func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.shutDown {
		s.mu.Unlock()
		return nil
	}
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
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
	return fmt.Errorf("graceful: cut %d connections: %w", len(s.conns), ctx.Err())
}
