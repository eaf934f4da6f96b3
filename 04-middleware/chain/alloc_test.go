//go:build !race

// Not under the race detector, which allocates, too.

package chain_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Allocations do not depend on the machine, so their bound is a test.
func TestAllocations(t *testing.T) {
	c := newCosts(t)
	over := testing.AllocsPerRun(1000, c.open) - testing.AllocsPerRun(1000, c.bare)
	require.LessOrEqual(t, over, 30.0, "what the chain without log and token allocates, over bare gin")
	t.Logf("%.0f allocations over bare gin", over)
}
