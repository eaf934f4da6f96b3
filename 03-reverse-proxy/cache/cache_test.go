package cache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/03-reverse-proxy/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origin is the next handler: it counts what it is asked, and answers by answer.
type origin struct {
	asked  atomic.Int64
	answer func(w http.ResponseWriter, r *http.Request, n int64)

	mu   sync.Mutex // guards last
	last *http.Request
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.last = r
	o.mu.Unlock()
	o.answer(w, r, o.asked.Add(1))
}

func (o *origin) request() *http.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// newCache returns a Cache before answer, and what stands behind it.
func newCache(t testing.TB, c cache.Config, answer func(w http.ResponseWriter, r *http.Request, n int64)) (*cache.Cache, *origin) {
	t.Helper()
	o := &origin{answer: answer}
	if c.Name == "" {
		c.Name = "Edge"
	}
	h, err := cache.New(o, c)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h, o
}

// says is an answer that sets the fields ("Name: value") and counts.
func says(fields ...string) func(w http.ResponseWriter, r *http.Request, n int64) {
	return func(w http.ResponseWriter, r *http.Request, n int64) {
		set(w, fields...)
		fmt.Fprintf(w, "answer %d", n)
	}
}

func set(w http.ResponseWriter, fields ...string) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		w.Header().Add(name, value)
	}
}

func request(method, url string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, url, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// do returns what h answers, and nil where it cut the connection off.
func do(h http.Handler, r *http.Request) (w *httptest.ResponseRecorder) {
	w = httptest.NewRecorder()
	defer func() {
		if v := recover(); v == http.ErrAbortHandler {
			w = nil
		} else if v != nil {
			panic(v)
		}
	}()
	h.ServeHTTP(w, r)
	return w
}

func get(t testing.TB, h http.Handler, url string, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := do(h, request("GET", url, fields...))
	require.NotNil(t, w, "GET %s was cut off", url)
	return w
}

func status(w *httptest.ResponseRecorder) string {
	return strings.Join(w.Header().Values("Cache-Status"), ", ")
}

const menu = "https://shop.test/menu"

func TestHit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60", "Content-Type: text/plain", "X-A: 1", "X-A: 2"))
		first := get(t, h, menu)
		assert.Equal(t, "answer 1", first.Body.String())
		assert.Equal(t, "Edge; fwd=uri-miss; stored", status(first))
		assert.Empty(t, first.Header().Get("Age"), "first hand")
		synctest.Wait()
		time.Sleep(10 * time.Second)
		second := get(t, h, menu)
		assert.Equal(t, "answer 1", second.Body.String())
		assert.Equal(t, "Edge; hit; ttl=50", status(second))
		assert.Equal(t, "10", second.Header().Get("Age"))
		assert.Equal(t, "8", second.Header().Get("Content-Length"))
		assert.Equal(t, []string{"1", "2"}, second.Header()["X-A"])
		assert.Equal(t, first.Header().Get("Date"), second.Header().Get("Date"), "Date is the origin's")
		time.Sleep(50 * time.Second)
		third := get(t, h, menu)
		assert.Equal(t, "answer 2", third.Body.String())
		assert.Equal(t, "Edge; fwd=stale; stored", status(third))
		assert.EqualValues(t, 2, o.asked.Load())
	})
}

func TestKey(t *testing.T) {
	tests := []struct {
		name, one, other string
		same             bool
	}{
		{"host_in_capitals", "https://shop.test/a", "https://SHOP.test/a", true},
		{"default_port", "https://shop.test/a", "https://shop.test:443/a", true},
		{"another_port", "https://shop.test/a", "https://shop.test:80/a", false},
		{"another_host", "https://shop.test/a", "https://shop2.test/a", false},
		{"another_scheme", "https://shop.test/a", "http://shop.test/a", false},
		{"path_in_capitals", "https://shop.test/a", "https://shop.test/A", false},
		{"query", "https://shop.test/a", "https://shop.test/a?b", false},
		{"empty_query", "https://shop.test/a", "https://shop.test/a?", false},
		{"order_in_query", "https://shop.test/a?b&c", "https://shop.test/a?c&b", false},
		{"escaped_slash", "https://shop.test/a/b", "https://shop.test/a%2Fb", false},
		{"escaped_question_mark", "https://shop.test/a?b", "https://shop.test/a%3Fb", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60"))
			one, other := get(t, h, tt.one), get(t, h, tt.other)
			assert.Equal(t, tt.same, one.Body.String() == other.Body.String())
			assert.Equal(t, tt.same, o.asked.Load() == 1)
		})
	}
}

func TestVary(t *testing.T) {
	t.Run("by_language", func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60", "Vary: Accept-Language"))
		assert.Equal(t, "answer 1", get(t, h, menu, "Accept-Language: de").Body.String())
		fr := get(t, h, menu, "Accept-Language: fr")
		assert.Equal(t, "answer 2", fr.Body.String())
		assert.Equal(t, "Edge; fwd=vary-miss; stored", status(fr))
		assert.Equal(t, "answer 1", get(t, h, menu, "Accept-Language: de").Body.String())
		assert.Equal(t, "answer 2", get(t, h, menu, "Accept-Language: fr").Body.String())
		assert.EqualValues(t, 2, o.asked.Load())
	})
	t.Run("by_fields_that_hardly_anybody_sends", func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
			set(w, "Cache-Control: max-age=60", "Vary: origin, Accept-Encoding", "Vary: ,X-Beta")
			fmt.Fprintf(w, "%v%v%v", r.Header["Origin"], r.Header["X-Beta"], r.Header["Accept-Encoding"])
		})
		requests := map[string][]string{
			"[][][identity]":               nil,
			"[][][gzip]":                   {"Accept-Encoding: gzip"},
			"[https://a.test][][gzip]":     {"Accept-Encoding: gzip", "Origin: https://a.test"},
			"[https://b.test][][gzip]":     {"Accept-Encoding: gzip", "Origin: https://b.test"},
			"[][1][identity]":              {"X-Beta: 1"},
			"[https://a.test][1][zstd]":    {"Accept-Encoding: zstd", "Origin: https://a.test", "X-Beta: 1"},
			"[][][br]":                     {"Accept-Encoding: br"},
			"[https://a.test][][identity]": {"Origin: https://a.test"},
		}
		for range 3 {
			for want, fields := range requests {
				assert.Equal(t, want, get(t, h, menu, fields...).Body.String())
			}
		}
		assert.EqualValues(t, len(requests), o.asked.Load(), "each is stored once")
	})
	t.Run("four_codings_and_no_more", func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
			set(w, "Cache-Control: max-age=60", "Vary: Accept-Encoding")
			fmt.Fprint(w, r.Header["Accept-Encoding"])
		})
		for line, want := range map[string]string{
			"": "[identity]", "gzip": "[gzip]", "gzip, deflate": "[gzip]", "gzip;q=0.9, x": "[gzip]", "br": "[br]",
			"gzip, deflate, br": "[br]", "gzip, deflate, br, zstd": "[zstd]", "zstd, br": "[zstd]", "deflate": "[identity]", "identity": "[identity]",
			"identity;q=0": "[identity]",
		} {
			fields := []string{"Accept-Encoding: " + line}
			if line == "" {
				fields = nil
			}
			assert.Equal(t, want, get(t, h, menu, fields...).Body.String(), line)
		}
		assert.LessOrEqual(t, o.asked.Load(), int64(4))
	})
	t.Run("too_many_variants_push_out_the_oldest", func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60", "Vary: User-Agent"))
		for i := range 100 {
			get(t, h, menu, fmt.Sprint("User-Agent: ", i))
		}
		get(t, h, menu, "User-Agent: 99")
		assert.EqualValues(t, 100, o.asked.Load())
		get(t, h, menu, "User-Agent: 0")
		assert.EqualValues(t, 101, o.asked.Load())
	})
	t.Run("star_is_never_stored", func(t *testing.T) {
		h, _ := newCache(t, cache.Config{}, says("Cache-Control: max-age=60", "Vary: *"))
		assert.Equal(t, "answer 1", get(t, h, menu).Body.String())
		assert.Equal(t, "answer 2", get(t, h, menu).Body.String())
	})
}

// A cache never gives one user's answer to another.
func TestWhoseAnswer(t *testing.T) {
	tests := []struct {
		name    string
		request string
		answer  []string
		shared  bool
	}{
		{"private", "Cookie: user=ann", []string{"Cache-Control: private, max-age=60"}, false},
		{"no_store", "Cookie: user=ann", []string{"Cache-Control: no-store, max-age=60"}, false},
		{"authorization", "Authorization: Bearer ann", []string{"Cache-Control: max-age=60"}, false},
		{"authorization_public", "Authorization: Bearer ann", []string{"Cache-Control: public, max-age=60"}, true},
		{"authorization_s_maxage", "Authorization: Bearer ann", []string{"Cache-Control: s-maxage=60"}, true},
		{"set_cookie", "X-A: b", []string{"Cache-Control: max-age=60", "Set-Cookie: session=ann"}, false},
		{"cookie", "Cookie: user=ann", []string{"Cache-Control: max-age=60"}, true},
		{"request_says_no_store", "Cache-Control: no-store", []string{"Cache-Control: max-age=60"}, false},
		{"trailers", "X-A: b", []string{"Cache-Control: max-age=60", "Trailer: X-B"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, _ := newCache(t, cache.Config{}, says(tt.answer...))
			assert.Equal(t, "answer 1", get(t, h, menu, tt.request).Body.String())
			want := "answer 2"
			if tt.shared {
				want = "answer 1"
			}
			assert.Equal(t, want, get(t, h, menu).Body.String())
		})
	}
	for _, fields := range [][]string{
		{"Cache-Control: public, max-age=60", "Set-Cookie: session=ann"},
		{`Cache-Control: max-age=60, private="set-cookie"`, "CDN-Cache-Control: max-age=60", "Set-Cookie: session=ann"},
	} {
		t.Run("the_cookie_is_for_him_who_asked/"+fields[0], func(t *testing.T) {
			h, _ := newCache(t, cache.Config{}, says(fields...))
			assert.Equal(t, "session=ann", get(t, h, menu).Header().Get("Set-Cookie"))
			second := get(t, h, menu)
			assert.Equal(t, "answer 1", second.Body.String())
			assert.Empty(t, second.Header().Values("Set-Cookie"))
		})
	}
	t.Run("fields_that_tell_of_one_answer", func(t *testing.T) {
		h, _ := newCache(t, cache.Config{Once: []string{"x-backend"}}, says("Cache-Control: max-age=60", "X-Backend: a", "Server-Timing: a"))
		assert.Equal(t, "aa", get(t, h, menu).Header().Get("X-Backend")+get(t, h, menu+"?2").Header().Get("Server-Timing"))
		second := get(t, h, menu)
		assert.Empty(t, second.Header().Values("X-Backend"))
		assert.Empty(t, second.Header().Values("Server-Timing"))
	})
	t.Run("fields_that_private_names", func(t *testing.T) {
		h, _ := newCache(t, cache.Config{}, says(`Cache-Control: max-age=60, private="x-user"`, "X-User: ann"))
		assert.Equal(t, "ann", get(t, h, menu).Header().Get("X-User"))
		second := get(t, h, menu)
		assert.Equal(t, "answer 1", second.Body.String())
		assert.Empty(t, second.Header().Values("X-User"))
	})
}

func TestRevalidation(t *testing.T) {
	const etag = "ETag: \"7\""
	t.Run("a_304_refreshes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				set(w, "Cache-Control: max-age=60", etag, fmt.Sprint("X-N: ", n))
				if r.Header.Get("If-None-Match") == `"7"` {
					w.WriteHeader(304)
					return
				}
				fmt.Fprint(w, "soup")
			})
			get(t, h, menu)
			time.Sleep(61 * time.Second)
			again := get(t, h, menu, `If-None-Match: "6"`, "Range: bytes=1-2")
			assert.Equal(t, `"7"`, o.request().Header.Get("If-None-Match"))
			assert.Empty(t, o.request().Header.Get("Range"))
			assert.Equal(t, 206, again.Code)
			assert.Equal(t, "ou", again.Body.String())
			assert.Equal(t, "2", again.Header().Get("X-N"))
			assert.Equal(t, "0", again.Header().Get("Age"))
			assert.Equal(t, "Edge; fwd=stale; fwd-status=304; stored", status(again))
			time.Sleep(30 * time.Second)
			assert.Equal(t, "Edge; hit; ttl=30", status(get(t, h, menu)))
			assert.EqualValues(t, 2, o.asked.Load())
		})
	})
	t.Run("the_clients_own_condition_is_answered_by_304", func(t *testing.T) {
		h, _ := newCache(t, cache.Config{}, says("Cache-Control: max-age=60", etag, "Content-Language: de"))
		for range 2 {
			w := get(t, h, menu, `If-None-Match: "7"`)
			assert.Equal(t, 304, w.Code)
			assert.Empty(t, w.Body.String())
			assert.Equal(t, `"7"`, w.Header().Get("ETag"))
			assert.Empty(t, w.Header().Get("Content-Length"))
			assert.Empty(t, w.Header().Get("Content-Language"))
		}
		assert.Equal(t, "answer 1", get(t, h, menu).Body.String(), "and the whole is stored")
	})
	t.Run("a_304_about_another_version_is_not_believed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if r.Header.Get("If-None-Match") != "" {
					set(w, "ETag: \"8\"")
					w.WriteHeader(304)
					return
				}
				set(w, "Cache-Control: max-age=60", etag)
				fmt.Fprint(w, "answer ", n)
			})
			get(t, h, menu)
			time.Sleep(61 * time.Second)
			assert.Equal(t, "answer 3", get(t, h, menu).Body.String())
			assert.EqualValues(t, 3, o.asked.Load())
		})
	})
	t.Run("a_304_that_forbids_storing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if r.Header.Get("If-None-Match") != "" {
					set(w, etag, "Cache-Control: private")
					w.WriteHeader(304)
					return
				}
				set(w, "Cache-Control: max-age=60", etag)
				fmt.Fprint(w, "answer ", n)
			})
			get(t, h, menu)
			time.Sleep(61 * time.Second)
			assert.Equal(t, "answer 1", get(t, h, menu).Body.String())
			assert.Equal(t, "answer 3", get(t, h, menu).Body.String())
			assert.EqualValues(t, 3, o.asked.Load())
		})
	})
	t.Run("no_cache_is_asked_each_time", func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
			set(w, "Cache-Control: no-cache", etag)
			if r.Header.Get("If-None-Match") == `"7"` {
				w.WriteHeader(304)
				return
			}
			fmt.Fprint(w, "answer ", n)
		})
		for n := range int64(3) {
			assert.Equal(t, "answer 1", get(t, h, menu).Body.String())
			assert.Equal(t, n+1, o.asked.Load())
		}
	})
	t.Run("what_is_stored_goes_when_the_answer_turns_private", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				set(w, []string{"", "Cache-Control: max-age=60, stale-while-revalidate=600", "Cache-Control: private", "Cache-Control: private"}[n])
				fmt.Fprint(w, "answer ", n)
			})
			get(t, h, menu)
			time.Sleep(61 * time.Second)
			assert.Equal(t, "answer 1", get(t, h, menu).Body.String())
			synctest.Wait() // the refresh
			assert.Equal(t, "answer 3", get(t, h, menu).Body.String())
		})
	})
}

func TestStale(t *testing.T) {
	t.Run("while_it_is_revalidated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if n > 1 {
					<-gate
				}
				says("Cache-Control: max-age=60, stale-while-revalidate=30")(w, r, n)
			})
			get(t, h, menu)
			time.Sleep(70 * time.Second)
			for range 5 {
				w := get(t, h, menu)
				assert.Equal(t, "answer 1", w.Body.String())
				assert.Equal(t, "Edge; hit; ttl=-10", status(w))
				synctest.Wait()
			}
			assert.EqualValues(t, 2, o.asked.Load(), "one refresh for all")
			gate <- true
			synctest.Wait()
			assert.Equal(t, "answer 2", get(t, h, menu).Body.String())
			time.Sleep(91 * time.Second)
			go func() { gate <- true }()
			assert.Equal(t, "answer 3", get(t, h, menu).Body.String(), "too stale")
		})
	})
	t.Run("a_refresh_does_not_take_forever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var ended atomic.Bool
			h, o := newCache(t, cache.Config{Unattended: 5 * time.Second}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if n == 2 {
					<-r.Context().Done()
					ended.Store(true)
					panic(http.ErrAbortHandler)
				}
				says("Cache-Control: max-age=60, stale-while-revalidate=30")(w, r, n)
			})
			get(t, h, menu)
			time.Sleep(61 * time.Second)
			get(t, h, menu)
			time.Sleep(6 * time.Second)
			assert.True(t, ended.Load())
			get(t, h, menu)
			synctest.Wait()
			assert.EqualValues(t, 3, o.asked.Load())
		})
	})
	fail := map[string]func(w http.ResponseWriter){
		"503":   func(w http.ResponseWriter) { w.WriteHeader(503); fmt.Fprint(w, "sorry") },
		"500":   func(w http.ResponseWriter) { w.WriteHeader(500) },
		"abort": func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	for name, fail := range fail {
		t.Run("if_error/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
					if n > 1 {
						fail(w)
						return
					}
					says("Cache-Control: max-age=60, stale-if-error=30")(w, r, n)
				})
				get(t, h, menu)
				time.Sleep(70 * time.Second)
				w := get(t, h, menu)
				assert.Equal(t, "answer 1", w.Body.String())
				assert.Equal(t, 200, w.Code)
				assert.Equal(t, "70", w.Header().Get("Age"))
				time.Sleep(21 * time.Second)
				if w := do(h, request("GET", menu)); w != nil {
					assert.Contains(t, []int{500, 503}, w.Code, "too stale")
				}
			})
		})
	}
	for _, forbids := range []string{"must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=60"} {
		t.Run("never_with/"+forbids, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := newCache(t, cache.Config{HonourRequests: true}, func(w http.ResponseWriter, r *http.Request, n int64) {
					set(w, "Cache-Control: max-age=60, stale-while-revalidate=30, stale-if-error=30, "+forbids, "ETag: \"7\"")
					if n > 1 {
						w.WriteHeader(503)
					}
				})
				get(t, h, menu)
				time.Sleep(61 * time.Second)
				assert.Equal(t, 503, get(t, h, menu, "Cache-Control: max-stale").Code)
			})
		})
	}
}

func TestRequestDirectives(t *testing.T) {
	tests := []struct {
		name, field    string
		after          time.Duration
		hit, hitIfDeaf bool
	}{
		{"no_cache", "Cache-Control: no-cache", 0, false, true},
		{"pragma", "Pragma: no-cache", 0, false, true},
		{"max_age_0", "Cache-Control: max-age=0", time.Second, false, true},
		{"max_age_enough", "Cache-Control: max-age=10", 9 * time.Second, true, true},
		{"max_age_exceeded", "Cache-Control: max-age=10", 11 * time.Second, false, true},
		{"min_fresh_enough", "Cache-Control: min-fresh=30", 20 * time.Second, true, true},
		{"min_fresh_too_little", "Cache-Control: min-fresh=30", 40 * time.Second, false, true},
		{"max_stale", "Cache-Control: max-stale", time.Hour, true, false},
		{"max_stale_enough", "Cache-Control: max-stale=30", 80 * time.Second, true, false},
		{"max_stale_exceeded", "Cache-Control: max-stale=30", 100 * time.Second, false, false},
		{"no_store_is_about_storing", "Cache-Control: no-store", 0, true, true},
	}
	for _, honour := range []bool{true, false} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("honoured_%v/%s", honour, tt.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, o := newCache(t, cache.Config{HonourRequests: honour}, says("Cache-Control: max-age=60"))
					get(t, h, menu)
					time.Sleep(tt.after)
					get(t, h, menu, tt.field)
					want := tt.hit
					if !honour {
						want = tt.hitIfDeaf
					}
					assert.Equal(t, want, o.asked.Load() == 1)
				})
			})
		}
	}
	t.Run("only_if_cached", func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60"))
		assert.Equal(t, 504, get(t, h, menu, "Cache-Control: only-if-cached").Code)
		assert.Zero(t, o.asked.Load())
		get(t, h, menu)
		assert.Equal(t, 200, get(t, h, menu, "Cache-Control: only-if-cached").Code)
		assert.EqualValues(t, 1, o.asked.Load())
	})
}

func TestHead(t *testing.T) {
	h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60"))
	assert.Equal(t, "Edge; fwd=uri-miss", status(do(h, request("HEAD", menu))))
	assert.Equal(t, "HEAD", o.request().Method)
	get(t, h, menu)
	w := do(h, request("HEAD", menu))
	assert.Empty(t, w.Body.String())
	assert.Equal(t, "8", w.Header().Get("Content-Length"))
	assert.EqualValues(t, 2, o.asked.Load())
}

func TestRange(t *testing.T) {
	const date = "Mon, 02 Jan 2006 15:04:05 GMT"
	h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
		set(w, "Cache-Control: max-age=60", "ETag: \"7\"", "Content-Type: text/plain", "Last-Modified: "+date)
		if r.Header.Get("Range") != "" {
			w.WriteHeader(206)
		}
		fmt.Fprint(w, "0123456789")
	})
	w := get(t, h, menu, "Range: bytes=0-3")
	assert.Equal(t, 206, w.Code)
	assert.Equal(t, "bytes=0-3", o.request().Header.Get("Range"), "of what is not stored, the origin gives a part")
	get(t, h, menu)
	require.EqualValues(t, 2, o.asked.Load(), "a part is not stored")
	for _, tt := range []struct {
		name, ranges, condition string
		code                    int
		want                    string
	}{
		{"first", "bytes=0-3", "X-A: b", 206, "0123"},
		{"last", "bytes=-3", "X-A: b", 206, "789"},
		{"beyond", "bytes=20-", "X-A: b", 416, ""},
		{"another_unit", "lines=1-2", "X-A: b", 200, "0123456789"},
		{"if_range_holds", "bytes=0-3", `If-Range: "7"`, 206, "0123"},
		{"if_range_fails", "bytes=0-3", `If-Range: "6"`, 200, "0123456789"},
		{"if_range_date_holds", "bytes=0-3", "If-Range: " + date, 206, "0123"},
		{"conditions_go_first", "bytes=0-3", `If-None-Match: "7"`, 304, ""},
		{"if_match_is_the_origins", "bytes=0-3", `If-Match: "6"`, 206, "0123"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(t, h, menu, "Range: "+tt.ranges, tt.condition)
			assert.Equal(t, tt.code, w.Code)
			if tt.code != 416 {
				assert.Equal(t, tt.want, w.Body.String())
			}
		})
	}
	assert.EqualValues(t, 2, o.asked.Load())
}

func TestInvalidation(t *testing.T) {
	tests := []struct {
		name, method string
		code         int
		fields       []string
		gone         bool
	}{
		{"post", "POST", 200, nil, true},
		{"put_201", "PUT", 201, nil, true},
		{"delete_204", "DELETE", 204, nil, true},
		{"redirect", "POST", 303, nil, true},
		{"unknown_method", "FROB", 200, nil, true},
		{"failed", "POST", 400, nil, false},
		{"error", "POST", 500, nil, false},
		{"options", "OPTIONS", 200, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if r.Method != "GET" {
					w.WriteHeader(tt.code)
					return
				}
				says("Cache-Control: max-age=60")(w, r, n)
			})
			get(t, h, menu)
			assert.Equal(t, "Edge; fwd=method", status(do(h, request(tt.method, menu))))
			get(t, h, menu)
			assert.Equal(t, tt.gone, o.asked.Load() == 3)
		})
	}
	for name, tt := range map[string]struct {
		field string
		gone  bool
	}{
		"location":             {"Location: /menu", true},
		"location_absolute":    {"Location: https://Shop.test:443/menu", true},
		"content_location":     {"Content-Location: menu", true},
		"another_origin":       {"Location: https://other.test/menu", false},
		"another_scheme":       {"Location: http://shop.test/menu", false},
		"what_is_no_reference": {"Location: :%", false},
	} {
		t.Run(name, func(t *testing.T) {
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if r.Method != "GET" {
					set(w, tt.field)
					return
				}
				says("Cache-Control: max-age=60")(w, r, n)
			})
			for _, url := range []string{menu, "https://other.test/menu", "http://shop.test/menu"} {
				get(t, h, url)
			}
			do(h, request("POST", "https://shop.test/orders"))
			get(t, h, "https://other.test/menu")
			get(t, h, "http://shop.test/menu")
			assert.EqualValues(t, 4, o.asked.Load(), "what others own stays")
			get(t, h, menu)
			assert.Equal(t, tt.gone, o.asked.Load() == 5)
		})
	}
}

func TestPassesBy(t *testing.T) {
	h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60"))
	for _, r := range []*http.Request{
		request("GET", menu, "Connection: Upgrade", "Upgrade: websocket"),
		httptest.NewRequest("GET", menu, strings.NewReader("content")),
	} {
		n := o.asked.Load()
		assert.Equal(t, "Edge; fwd=bypass", status(do(h, r)))
		do(h, r)
		assert.Equal(t, n+2, o.asked.Load())
	}
	h.Close()
	n := o.asked.Load()
	assert.Equal(t, "Edge; fwd=bypass", status(do(h, request("GET", menu))))
	assert.Equal(t, n+1, o.asked.Load())
}

func TestNew(t *testing.T) {
	_, err := cache.New(nil, cache.Config{MaxBytes: 10, MaxEntry: 20, Unattended: -1, Name: "Edge\n"})
	for _, want := range []string{"no next handler", "MaxEntry 20", "unattended", `"Edge\n"`} {
		assert.ErrorContains(t, err, want)
	}
	_, err = cache.New(http.NotFoundHandler(), cache.Config{MaxEntry: -1})
	assert.ErrorContains(t, err, "below 0")
	for name, want := range map[string]string{"edge1.shop.test": "edge1.shop.test; ", "The Edge": `"The Edge"; `, `a"b`: `"a\"b"; `, "1": `"1"; `} {
		h, _ := newCache(t, cache.Config{Name: name}, says())
		assert.True(t, strings.HasPrefix(status(get(t, h, menu)), want), name)
	}
	h, err := cache.New(http.NotFoundHandler(), cache.Config{})
	require.NoError(t, err)
	defer h.Close()
	assert.NotContains(t, get(t, h, menu).Header(), "Cache-Status")
}

// The fields of caches before this one, and of handlers before it, stay.
func TestStatusAndFieldsOfOthers(t *testing.T) {
	h, _ := newCache(t, cache.Config{}, says("Cache-Control: max-age=60", "Cache-Status: Origin; hit", "Vary: Accept-Encoding", "Age: 7"))
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		w.Header().Set("X-Request-Id", "1")
		h.ServeHTTP(w, r)
	})
	first := get(t, outer, menu)
	assert.Equal(t, "Origin; hit, Edge; fwd=uri-miss; stored", status(first))
	assert.Equal(t, "7", first.Header().Get("Age"))
	for range 2 {
		second := get(t, outer, menu)
		assert.Equal(t, []string{"Origin; hit", "Edge; hit; ttl=53"}, second.Header()["Cache-Status"])
		assert.Equal(t, []string{"Origin", "Accept-Encoding"}, second.Header()["Vary"])
		assert.Equal(t, "1", second.Header().Get("X-Request-Id"))
		assert.Equal(t, []string{"7"}, second.Header()["Age"])
	}
}
