//go:build ignore

// It waits for the handlers, however long they take. One client that went to
// sleep holds up the end, until whoever stops the server loses patience and
// kills it, in the middle of everything else.
//
//workshop:caught-by TestShutdown/cuts_what_is_left_when_its_time_is_over
//workshop:says waits for ever
package graceful

import "context"

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
	<-s.done
	return ctx.Err()
}
