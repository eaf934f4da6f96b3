package cached_test

import (
	"testing"

	"clicktocode.example/05-business-logic/memory"
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/06-database-cache/cached"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
)

// BenchmarkMenu is what a menu costs that the cache has, beside the cache itself.
func BenchmarkMenu(b *testing.B) {
	dishes, _ := kitchen.Menu()
	c, err := cached.New([]kv.Cache{&kvtest.Memory{}}, memory.NewMenu(dishes), nil, cached.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	menu := c.Menu()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := menu.Dishes(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
