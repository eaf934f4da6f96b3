package clients_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/clients"
)

func TestWith(t *testing.T) {
	t.Run("keeps_one_value_for_each_client", func(t *testing.T) {
		s := numbered(3)
		assert.Equal(t, []int{1, 2, 1, 2}, values(s, "192.0.2.1/32", "192.0.2.2/32", "192.0.2.1/32", "192.0.2.2/32"), "each client has its own value, and keeps it")
	})

	t.Run("tells_networks_apart_that_begin_alike", func(t *testing.T) {
		s := numbered(5)
		assert.Equal(t, []int{1, 2, 3, 4}, values(s, "::/64", "::/63", "0.0.0.0/32", "::ffff:0.0.0.0/128"), "prefixes that differ are clients that differ")
		s.With(netip.Prefix{}, func(v *int) { assert.Equal(t, 5, *v, "the zero Prefix is a client like others") })
	})

	t.Run("forgets_who_was_not_seen_for_the_longest_time", func(t *testing.T) {
		s := numbered(2)
		assert.Equal(t, []int{1, 2, 1, 3, 1}, values(s, "192.0.2.1/32", "192.0.2.2/32", "192.0.2.1/32", "192.0.2.3/32", "192.0.2.1/32"), "the maximum is 2. When .3 came, .2 had not been seen for longer than .1")
		assert.Equal(t, []int{4, 1}, values(s, "192.0.2.2/32", "192.0.2.1/32"), ".2 was forgotten, and begins anew; .3 was not seen for longer than .1")
		assert.Equal(t, 2, s.Len())
	})

	t.Run("holds_no_more_than_the_maximum", func(t *testing.T) {
		s := numbered(100)
		for i := range 10_000 {
			s.With(address(i), func(*int) {})
			require.LessOrEqual(t, s.Len(), 100, "after %d clients", i+1)
		}
		assert.Equal(t, 100, s.Len())
		for i := 9_900; i < 10_000; i++ {
			s.With(address(i), func(v *int) { require.Equal(t, i+1, *v, "the last 100 are still known") })
		}
	})

	t.Run("takes_a_maximum_below_one_for_one", func(t *testing.T) {
		for _, most := range []int{-1, 0, 1} {
			s := numbered(most)
			assert.Equal(t, []int{1, 1, 2, 3}, values(s, "192.0.2.1/32", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.1/32"), "the maximum is %d", most)
			assert.Equal(t, 1, s.Len())
		}
	})

	t.Run("serves_many_at_once", func(t *testing.T) {
		const goroutines, each = 8, 2_000
		s := clients.New(4, func() *int { return new(int) })
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				for range each {
					s.With(address(1), func(n *int) { *n++ })
				}
			})
		}
		all.Wait()
		s.With(address(1), func(n *int) { assert.Equal(t, goroutines*each, *n, "only one use runs at a time") })
	})

	t.Run("lives_on_after_a_panic", func(t *testing.T) {
		broken := false
		made := 0
		s := clients.New(1, func() *int {
			if broken {
				panic("make")
			}
			made++
			return &made
		})
		assert.PanicsWithValue(t, "use", func() { s.With(address(1), func(*int) { panic("use") }) })
		broken = true
		assert.PanicsWithValue(t, "make", func() { s.With(address(2), func(*int) {}) })
		s.With(address(1), func(*int) {}) // is still known, and so nothing is made
		broken = false
		s.With(address(2), func(v *int) { assert.Equal(t, 2, *v) })
		assert.Equal(t, 1, s.Len())
	})
}

// numbered returns a store whose values are numbered as they are made.
func numbered(most int) *clients.Store[*int] {
	made := 0
	return clients.New(most, func() *int {
		made++
		n := made
		return &n
	})
}

func values(s *clients.Store[*int], names ...string) (all []int) {
	for _, name := range names {
		s.With(netip.MustParsePrefix(name), func(v *int) { all = append(all, *v) })
	}
	return all
}

func address(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
}

// BenchmarkWith shows what a known client costs, and one who is new when the
// store is full.
func BenchmarkWith(b *testing.B) {
	for _, known := range []bool{true, false} {
		b.Run(fmt.Sprintf("known=%t", known), func(b *testing.B) {
			s := clients.New(1<<16, func() int { return 0 })
			for i := range 1 << 16 {
				s.With(address(i), func(int) {})
			}
			i := 1 << 16
			b.ReportAllocs()
			for b.Loop() {
				if i++; known {
					i &= 1<<16 - 1
				}
				s.With(address(i), func(int) {})
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		s := clients.New(1<<16, func() int { return 0 })
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				s.With(address(i&1023), func(int) {})
			}
		})
	})
}
