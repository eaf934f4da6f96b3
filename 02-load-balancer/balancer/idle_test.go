package balancer_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
)

func TestNotifyIdle(t *testing.T) {
	newBackend := func(t testing.TB) *balancer.Backend {
		b, err := balancer.NewBackend("a", "127.0.0.1:1", 1)
		require.NoError(t, err)
		return b
	}

	t.Run("tells_when_the_last_request_is_over", func(t *testing.T) {
		b := newBackend(t)
		one, two := make(chan struct{}, 1), make(chan struct{}, 1)
		b.Begin()
		b.End()
		defer b.NotifyIdle(one)()
		stop := b.NotifyIdle(two)
		assert.Empty(t, one, "what ended before is not told")
		b.Begin()
		b.Begin()
		b.End()
		assert.Empty(t, one, "one of two requests is over")
		b.End()
		assert.Len(t, one, 1, "both are over")
		assert.Len(t, two, 1, "each watcher is told")
		b.Begin()
		b.End() // nobody has taken the first one out, and it must not block
		<-one
		<-two
		stop()
		stop()
		b.Begin()
		b.End()
		assert.Len(t, one, 1, "the other one is still told")
		assert.Empty(t, two, "and this one, which has stopped, is not")
	})

	t.Run("misses_nobody", func(t *testing.T) {
		// The watcher asks first to be told and looks then; whoever ends counts
		// first and looks for watchers then. One of the two sees the other.
		for range 2000 {
			b := newBackend(t)
			b.Begin()
			var all sync.WaitGroup
			all.Go(b.End)
			idle := make(chan struct{}, 1)
			stop := b.NotifyIdle(idle)
			if b.Active() > 0 {
				select {
				case <-idle:
				case <-time.After(10 * time.Second):
					require.Fail(t, "the watcher was not told")
				}
			}
			stop()
			all.Wait()
		}
	})
}

func BenchmarkBeginEnd(b *testing.B) {
	backend, err := balancer.NewBackend("a", "127.0.0.1:1", 1)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		backend.Begin()
		backend.End()
	}
}
