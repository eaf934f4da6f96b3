package kvtest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
)

// Bubble runs body in a bubble of testing/synctest, with a Memory that ends with it
// (see Memory.Close): time passes when all goroutines wait, and Wait tells when
// nothing more will happen. It returns what the bubble says of goroutines that were
// left behind, if any.
//
// A lock that is not given back would hang a bubble for ever, and so would a loop
// that waits for nothing. A clock outside of it watches, and fails t with hint.
func Bubble(t *testing.T, hint string, body func(t *testing.T, m *Memory)) (leaked string) {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		fault := ""
		defer func() { ended <- fault }() // also where body failed, and this goroutine with it
		fault = panics.In(func() {
			synctest.Test(t, func(t *testing.T) {
				m := &Memory{}
				defer m.Close()
				body(t, m)
			})
		})
	}()
	select {
	case fault := <-ended:
		if strings.Contains(fault, "blocked goroutines remain") {
			return fault
		}
		require.Empty(t, fault, "the test panicked")
	case <-time.After(patience):
		patience = 500 * time.Millisecond
		require.FailNow(t, "no end", hint)
	}
	return ""
}

// patience is how long a bubble may last. The first one has plenty of time; if that
// was not enough, the others are not waited for as long.
var patience = 3 * time.Second
