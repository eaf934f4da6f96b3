package cache_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/cache"
)

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusOK
		h, _ := newCache(t, cache.Config{MaxBytes: 1 << 20}, func(w http.ResponseWriter, r *http.Request, n int64) {
			if status == http.StatusOK && r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			set(w, "Cache-Control: max-age=60, stale-if-error=600", `ETag: "1"`)
			w.WriteHeader(status)
		})
		is := func(what string, want cache.Stats) {
			t.Helper()
			got := h.Stats()
			assert.Positive(t, got.Bytes, what)
			got.Bytes = 0
			want.MaxBytes = 1 << 20
			assert.Equal(t, want, got, what)
		}
		require.Zero(t, h.Stats().Bytes)
		get(t, h, "/menu")
		synctest.Wait()
		want := cache.Stats{Misses: 1, Entries: 1}
		is("a miss", want)
		get(t, h, "/menu")
		want.Hits = 1
		is("a hit", want)
		do(h, request("POST", "/orders"))
		want.Bypassed = 1
		is("a POST", want)
		get(t, h, "/menu", "Cache-Control: only-if-cached")
		want.Hits = 2
		is("only-if-cached, of what is cached", want)
		get(t, h, "/dishes", "Cache-Control: only-if-cached")
		want.Misses = 2
		is("only-if-cached, of what is not", want)
		time.Sleep(61 * time.Second)
		get(t, h, "/menu")
		want.Revalidated = 1
		is("stale, and confirmed", want)
		time.Sleep(61 * time.Second)
		status = http.StatusServiceUnavailable
		get(t, h, "/menu")
		want.Stale = 1
		is("stale, in place of an error", want)
		do(h, request("HEAD", "/dishes"))
		want.Misses = 3
		is("a HEAD of what is not cached", want)
	})

	t.Run("counts_those_who_wait_for_one_answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				time.Sleep(time.Second)
				says("Cache-Control: max-age=60")(w, r, n)
			})
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() { get(t, h, "/menu") })
			}
			all.Wait()
			s := h.Stats()
			assert.EqualValues(t, []uint64{1, 9, 0}, []uint64{s.Misses, s.Collapsed, s.Hits}, "misses, collapsed, hits of ten who ask at once")
		})
	})

	t.Run("counts_what_had_to_go", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := newCache(t, cache.Config{MaxBytes: 64 << 10, MaxEntry: 16 << 10}, func(w http.ResponseWriter, _ *http.Request, _ int64) {
				set(w, "Cache-Control: max-age=60")
				_, _ = w.Write([]byte(strings.Repeat("x", 8<<10)))
			})
			for i := range 20 {
				get(t, h, "/"+strings.Repeat("a", i))
			}
			synctest.Wait() // a client may have the whole answer a moment before it is kept
			s := h.Stats()
			assert.EqualValues(t, 20, s.Evictions+uint64(s.Entries), "each of twenty pages is stored, or had to go: %+v", s)
			assert.Positive(t, s.Evictions)
			assert.LessOrEqual(t, s.Bytes, s.MaxBytes)
		})
	})
}
