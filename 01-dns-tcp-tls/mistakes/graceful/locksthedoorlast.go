//go:build ignore

// It waits until no handler is running, and closes the listener then. But
// meanwhile new clients come in, and on a busy server there is always one more.
//
//workshop:caught-by TestShutdown/lets_a_running_request_finish
//workshop:says the listener must be closed before the wait
package graceful

import (
	"context"
	"fmt"
	"time"
)

func (s *Server) Shutdown(ctx context.Context) error {
	s.windUp()
	for {
		s.mu.Lock()
		if len(s.conns) == 0 {
			defer s.mu.Unlock()
			s.shutDown = true
			if s.ln != nil {
				s.ln.Close()
			}
			return nil
		}
		if ctx.Err() != nil {
			defer s.mu.Unlock()
			s.shutDown = true
			s.ln.Close()
			for conn := range s.conns {
				conn.Close()
			}
			return fmt.Errorf("graceful: %w", ctx.Err())
		}
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}
