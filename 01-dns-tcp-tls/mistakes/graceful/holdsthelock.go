//go:build ignore

// It holds the mutex while it waits. A handler that returns needs that mutex
// to leave, so the two wait for each other until the time is over.
//
//workshop:caught-by TestShutdown/tells_running_handlers_to_wind_up
//workshop:says is mu held during the wait?
package graceful

import (
	"context"
	"fmt"
)

func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutDown = true
	if s.ln == nil {
		return nil
	}
	s.ln.Close()
	s.windUp()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	for conn := range s.conns {
		conn.Close()
	}
	return fmt.Errorf("graceful: cut %d connections: %w", len(s.conns), ctx.Err())
}
