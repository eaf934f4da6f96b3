package countdown_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"clicktocode.example/01-greet/exercise/countdown"
)

func TestFrom(t *testing.T) {
	for n, want := range []string{"[]", "[1]", "[2 1]"} {
		t.Run(fmt.Sprintf("counts_from_%d", n), func(t *testing.T) {
			got := fmt.Sprint(countdown.From(n))
			assert.Equal(t, want, got, "From(%d): down to 1, and no further", n)
		})
	}
}
