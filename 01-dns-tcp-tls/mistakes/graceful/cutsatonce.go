//go:build ignore

// It closes all connections first and waits then. The handlers do return, and
// quickly, but only because their clients are gone: orders that were being
// answered are answered to nobody.
//
//workshop:caught-by TestShutdown/lets_a_running_request_finish
//workshop:says the connection was closed under it
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
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("graceful: %w", ctx.Err())
	}
}
