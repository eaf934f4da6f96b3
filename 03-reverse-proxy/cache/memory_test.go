package cache_test

import (
	"flag"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"clicktocode.example/03-reverse-proxy/cache"
)

// discard is a ResponseWriter that keeps nothing, for one request after another.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }

func (d *discard) reset() {
	clear(d.header)
	d.n = 0
}

var manyURLs = flag.Int("urls", 20_000, "how many distinct URLs TestMemoryIsBounded sends through the cache; 1000000 takes 20 s")

// Each of many URLs is asked for once, and what lives on the heap stays within
// MaxBytes and a little.
func TestMemoryIsBounded(t *testing.T) {
	urls, most, perSize := *manyURLs, int64(4<<20), 4
	if urls >= 1_000_000 {
		most, perSize = 32<<20, 20
	}
	for name, size := range map[string]int{"small": 20, "of_a_kilobyte": 1000, "of_all_sizes": 0} {
		n := urls
		if size != 1000 {
			n /= perSize
		}
		t.Run(name, func(t *testing.T) {
			content := make([]byte, 64<<10)
			next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				n, _ := strconv.Atoi(r.URL.RawQuery)
				h["Cache-Control"] = []string{"max-age=600"}
				h["Content-Type"] = []string{"text/plain; charset=" + r.URL.RawQuery}
				h["Etag"] = []string{`"` + r.URL.RawQuery + `"`}
				h["X-Request-Id"] = []string{"0123456789abcdef" + r.URL.RawQuery}
				length := size
				if length == 0 {
					length = n * 7919 % len(content)
				}
				_, _ = w.Write(content[:length])
			})
			before := live()
			defer debug.SetGCPercent(debug.SetGCPercent(400)) // it is about what lives, and quicker so
			h, err := cache.New(next, cache.Config{MaxBytes: most, Name: "Edge"})
			assert.NoError(t, err)
			var i, hot atomic.Int64
			var workers sync.WaitGroup
			for range 4 {
				workers.Go(func() {
					w := &discard{header: http.Header{}}
					r := request("GET", "https://shop.test/menu?0")
					for {
						query := i.Add(1)
						if query > int64(n) {
							return
						}
						r := r.Clone(r.Context()) // the cache may keep it, as long as a fetch takes
						r.URL.RawQuery = strconv.FormatInt(query, 10)
						w.reset()
						h.ServeHTTP(w, r)
						if query%8 == 0 { // something that is in use all the time
							r.URL.RawQuery = "hot"
							w.reset()
							h.ServeHTTP(w, r)
							if w.header["Age"] != nil {
								hot.Add(1)
							}
						}
					}
				})
			}
			workers.Wait()
			after := live() - before
			t.Logf("%d URLs through %d MiB: %.1f MiB live, %d of %d hits on what is in use", n, most>>20, float64(after)/(1<<20), hot.Load(), n/8)
			assert.Less(t, after, most+2<<20, "MaxBytes and 2 MiB")
			assert.Greater(t, after, most/2, "and what there is room for is kept")
			assert.Greater(t, hot.Load(), int64(n/8*9/10), "a scan does not push out what is in use")
			runtime.KeepAlive(h)
			h.Close()
		})
	}
}

// What is asked for now and then stays, though the store is filled anew again and
// again in between.
func TestScanPushesNothingOutThatIsInUse(t *testing.T) {
	h, o := newCache(t, cache.Config{MaxBytes: 1 << 20}, says("Cache-Control: max-age=60"))
	const hot = 20
	asked := 0
	for n := range 20_000 {
		get(t, h, fmt.Sprint("https://shop.test/once/", n))
		if n%10 == 0 {
			before := o.asked.Load()
			get(t, h, fmt.Sprint("https://shop.test/often/", n/10%hot))
			asked += int(o.asked.Load() - before)
		}
	}
	assert.Less(t, asked, 4*hot, "of 2000 requests, few reach the origin")
}

// live is how many octets are in use on the heap.
func live() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkHit is what the cache itself costs. The header is a new one for each
// answer, as it is in a server.
func BenchmarkHit(b *testing.B) {
	for _, vary := range []string{"", "Accept-Encoding", "Accept-Encoding, Origin", "Accept-Language"} {
		b.Run("vary_"+vary, func(b *testing.B) {
			h, _ := newCache(b, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				set(w, "Cache-Control: max-age=600", "Content-Type: application/json", "ETag: \"7\"", "Vary: "+vary)
				if vary == "" {
					w.Header().Del("Vary")
				}
				_, _ = w.Write(make([]byte, 1024))
			})
			r := request("GET", menu, "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: de, en;q=0.5", "User-Agent: curl")
			w := &discard{header: http.Header{}}
			h.ServeHTTP(w, r)
			id := []string{"1"}
			b.ReportAllocs()
			for b.Loop() {
				w.reset()
				w.header["X-Request-Id"] = id // of a handler before it
				h.ServeHTTP(w, r)
			}
			if w.n != 1024 {
				b.Fatal(w.n)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		h, _ := newCache(b, cache.Config{}, says("Cache-Control: max-age=600", "Vary: Accept-Encoding"))
		get(b, h, menu)
		b.RunParallel(func(pb *testing.PB) {
			r, w := request("GET", menu), &discard{header: http.Header{}}
			for pb.Next() {
				w.reset()
				h.ServeHTTP(w, r)
			}
		})
	})
}

func BenchmarkMiss(b *testing.B) {
	h, _ := newCache(b, cache.Config{}, says("Cache-Control: max-age=600", "ETag: \"7\""))
	r := request("GET", menu)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		r := r.Clone(r.Context())
		r.URL.RawQuery = fmt.Sprint(n)
		h.ServeHTTP(&discard{header: http.Header{}}, r)
	}
}
