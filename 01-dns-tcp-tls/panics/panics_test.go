package panics_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

func TestIn(t *testing.T) {
	t.Run("is_empty_when_nothing_happened", func(t *testing.T) {
		called := false
		assert.Empty(t, panics.In(func() { called = true }))
		assert.True(t, called)
	})

	t.Run("says_what_happened", func(t *testing.T) {
		assert.Equal(t, "because", panics.In(func() { panic("because") }), "the line is a test's: it is left out")
		assert.Equal(t, "an error", panics.In(func() { panic(errors.New("an error")) }))
		var none []int
		assert.Equal(t, "runtime error: index out of range [1] with length 0", panics.In(func() { none[1]++ }))
		assert.NotEmpty(t, panics.In(func() { panic(nil) }))
	})

	t.Run("says_where", func(t *testing.T) {
		assert.Regexp(t, `(?s)zone.*, at zone\.go:\d+$`, panics.In(func() { zone.MustParse("no zone") }))
		assert.Regexp(t, `nil pointer dereference, at stage\.go:\d+$`, panics.In(func() { (*stage.Stage)(nil).Ready("") }), "innermost among the workshop's own lines, below the runtime's")
	})

	t.Run("lets_Goexit_pass", func(t *testing.T) {
		ended := make(chan string, 1)
		go func() {
			defer func() { ended <- "ended" }()
			panics.In(runtime.Goexit)
			ended <- "went on"
		}()
		assert.Equal(t, "ended", <-ended)
	})
}
