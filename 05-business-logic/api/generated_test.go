package api_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Each visit is a few requests, since what an order may become depends on what it was.
const visitLength = 12

// TestGenerated sends requests that are made of the document: valid, nearly valid, and
// wild. They are the same each time, but for IDs.
func TestGenerated(t *testing.T) {
	t.Parallel()
	count := 12_000
	if raceEnabled() {
		count = 1200 // which is ten times slower
	}
	c := newContract(t)
	random := rand.NewChaCha8([32]byte{5})
	for range count / visitLength {
		d := make(dice, 2000)
		_, _ = random.Read(d)
		visit(t, c, d, visitLength)
	}
	good, bad := map[string]bool{}, map[string]bool{}
	for name, n := range c.seen {
		op, status, _ := strings.Cut(name, " ")
		good[op], bad[op] = good[op] || status[0] == '2', bad[op] || status[0] == '4'
		t.Logf("%6d %s", n, name)
	}
	if raceEnabled() {
		return // too few to say more
	}
	for _, item := range c.asked.Paths.Map() {
		for _, op := range item.Operations() {
			assert.True(t, good[op.OperationID] && bad[op.OperationID], "%s: done %v, refused %v: the generator is lame", op.OperationID, good[op.OperationID], bad[op.OperationID])
		}
	}
}

// FuzzGenerated does the same with the fuzzer's dice.
func FuzzGenerated(f *testing.F) {
	c := newContract(f)
	random := rand.NewChaCha8([32]byte{6})
	for range 20 {
		d := make(dice, 600)
		_, _ = random.Read(d)
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, d []byte) { visit(t, c, d, visitLength) })
}
