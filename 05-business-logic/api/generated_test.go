package api_test

import (
	"math/rand/v2"
	"testing"

	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/apitest"
)

// TestGenerated sends requests that are made of the document: valid, nearly valid, and
// wild. They are the same each time, but for IDs.
func TestGenerated(t *testing.T) {
	t.Parallel()
	count := 12_000
	if raceEnabled() {
		count = 1200 // which is ten times slower
	}
	c := apitest.New(t, api.Document())
	c.Generated(t, count, 5)
}

// FuzzGenerated does the same with the fuzzer's dice.
func FuzzGenerated(f *testing.F) {
	c := apitest.New(f, api.Document())
	random := rand.NewChaCha8([32]byte{6})
	for range 20 {
		d := make(apitest.Dice, 600)
		_, _ = random.Read(d)
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, d []byte) { apitest.NewStand(t, c).Visit(d) })
}
