//go:build ignore

// It waits for the last request, however long that takes. One client that went
// to sleep over its download keeps the new version from coming.
//
//workshop:caught-by TestDrain/gives_up_when_its_time_is_over
//workshop:says it must not wait for ever
package drain

import "context"

func Drain(ctx context.Context, b Backend) error {
	b.SetDraining(true)
	idle := make(chan struct{}, 1)
	defer b.NotifyIdle(idle)()
	for b.Active() > 0 {
		<-idle
	}
	return nil
}
