package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/cache"
	"clicktocode.example/03-reverse-proxy/httpcache"
)

// client is a request under way, whose answer is read piece by piece.
type client struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
	done   chan struct{} // closed when the handler has returned
	cut    bool          // by http.ErrAbortHandler
	gate   chan struct{} // unless nil, each Write takes one
	pieces chan string
}

// send starts a request in a goroutine. Use it in a bubble.
func send(h http.Handler, r *http.Request, gate chan struct{}) *client {
	ctx, cancel := context.WithCancel(r.Context())
	c := &client{ResponseRecorder: httptest.NewRecorder(), cancel: cancel, done: make(chan struct{}), gate: gate, pieces: make(chan string, 1000)}
	go func() {
		defer close(c.done)
		defer cancel()
		defer func() {
			c.cut = recover() != nil // net/http cuts the connection, whatever the panic
		}()
		h.ServeHTTP(c, r.WithContext(ctx))
	}()
	return c
}

func (c *client) Write(p []byte) (int, error) {
	if c.gate != nil {
		<-c.gate
	}
	select {
	case c.pieces <- string(p):
	default:
	}
	return c.ResponseRecorder.Write(p)
}

func TestCollapse(t *testing.T) {
	t.Run("a_thousand_misses_are_one_request_and_all_stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				<-gate
				set(w, "Cache-Control: max-age=60")
				for i := range 3 {
					fmt.Fprint(w, i)
					<-gate
				}
			})
			var clients []*client
			for range 1000 {
				clients = append(clients, send(h, request("GET", menu), nil))
			}
			synctest.Wait()
			assert.EqualValues(t, 1, o.asked.Load())
			gate <- true
			synctest.Wait()
			late := send(h, request("GET", menu), nil) // finds it half way
			for i := range 3 {
				synctest.Wait()
				for _, c := range append(clients, late) {
					require.Equal(t, fmt.Sprint(i), <-c.pieces, "each piece arrives at once")
				}
				gate <- true
			}
			synctest.Wait()
			fwd := 0
			for _, c := range clients {
				<-c.done
				assert.Equal(t, "012", c.Body.String())
				assert.True(t, c.Flushed)
				if status(c.ResponseRecorder) == "Edge; fwd=uri-miss; stored" {
					fwd++
				} else {
					assert.Equal(t, "Edge; fwd=uri-miss; stored; collapsed", status(c.ResponseRecorder))
				}
			}
			assert.Equal(t, 1, fwd)
			assert.Equal(t, "012", late.Body.String())
			assert.Equal(t, "Edge; hit; ttl=60", status(late.ResponseRecorder))
			assert.Equal(t, "3", get(t, h, menu).Header().Get("Content-Length"))
			assert.EqualValues(t, 1, o.asked.Load())
		})
	})
	t.Run("a_private_answer_is_shared_with_nobody_and_the_others_ask_side_by_side", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				<-gate
				set(w, "Cache-Control: private, max-age=60")
				fmt.Fprint(w, r.Header.Get("Cookie"))
			})
			var clients []*client
			for i := range 100 {
				clients = append(clients, send(h, request("GET", menu, fmt.Sprint("Cookie: ", i)), nil))
			}
			synctest.Wait()
			require.EqualValues(t, 1, o.asked.Load())
			gate <- true
			synctest.Wait()
			require.EqualValues(t, 100, o.asked.Load(), "99 side by side")
			close(gate)
			for i, c := range clients {
				<-c.done
				require.Equal(t, fmt.Sprint(i), c.Body.String())
			}
		})
	})
	t.Run("what_was_private_makes_nobody_wait_for_a_while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if n > 1 {
					<-gate
				}
				set(w, "Cache-Control: private")
			})
			get(t, h, menu)
			for range 10 {
				send(h, request("GET", menu), nil)
			}
			synctest.Wait()
			assert.EqualValues(t, 11, o.asked.Load())
			for range 10 {
				gate <- true
			}
			time.Sleep(11 * time.Second)
			for range 10 {
				send(h, request("GET", menu), nil)
			}
			synctest.Wait()
			assert.EqualValues(t, 12, o.asked.Load())
			close(gate)
		})
	})
	t.Run("nobody_waits_for_one_with_authorization", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				<-gate
				set(w, "Cache-Control: max-age=60")
			})
			send(h, request("GET", menu, "Authorization: Bearer ann"), nil)
			send(h, request("GET", menu, "Authorization: Bearer bob"), nil)
			send(h, request("GET", menu), nil)
			send(h, request("GET", menu), nil)
			synctest.Wait()
			assert.EqualValues(t, 3, o.asked.Load())
			close(gate)
			synctest.Wait()
			get(t, h, menu)
			assert.EqualValues(t, 3, o.asked.Load())
		})
	})
	t.Run("an_answer_in_another_language_is_not_taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				<-gate
				set(w, "Cache-Control: max-age=60", "Vary: Accept-Language")
				fmt.Fprint(w, r.Header.Get("Accept-Language"))
			})
			var clients []*client
			for i := range 30 {
				clients = append(clients, send(h, request("GET", menu, "Accept-Language: "+[]string{"de", "fr", "it"}[i%3]), nil))
			}
			synctest.Wait()
			close(gate)
			for i, c := range clients {
				<-c.done
				assert.Equal(t, []string{"de", "fr", "it"}[i%3], c.Body.String())
			}
			assert.LessOrEqual(t, o.asked.Load(), int64(4))
		})
	})
	t.Run("the_first_caller_may_leave", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				set(w, "Cache-Control: max-age=60")
				select {
				case <-gate:
					fmt.Fprint(w, "soup")
				case <-r.Context().Done():
					panic(http.ErrAbortHandler)
				}
			})
			first := send(h, request("GET", menu), nil)
			synctest.Wait()
			second := send(h, request("GET", menu), nil)
			synctest.Wait()
			first.cancel()
			<-first.done
			gate <- true
			<-second.done
			assert.Equal(t, "soup", second.Body.String())
			assert.EqualValues(t, 1, o.asked.Load())
		})
	})
	t.Run("when_all_have_left_the_fetch_ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				<-r.Context().Done()
				panic(http.ErrAbortHandler)
			})
			for range 2 {
				one, two := send(h, request("GET", menu), nil), send(h, request("GET", menu), nil)
				synctest.Wait()
				one.cancel()
				two.cancel()
				<-one.done
				<-two.done
			}
		})
	})
}

func TestWhoeverLeavesHalfWay(t *testing.T) {
	for name, tt := range map[string]struct {
		fields []string
		stored bool
	}{
		"what_can_be_stored_goes_on_arriving": {[]string{"Cache-Control: max-age=60"}, true},
		"what_is_private_ends":                {[]string{"Cache-Control: private"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan bool)
				var ended atomic.Bool
				h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
					set(w, tt.fields...)
					fmt.Fprint(w, "so")
					select {
					case <-gate:
						fmt.Fprint(w, "up")
					case <-r.Context().Done():
						ended.Store(true)
						panic(http.ErrAbortHandler)
					}
				})
				c := send(h, request("GET", menu), nil)
				synctest.Wait()
				c.cancel()
				synctest.Wait()
				assert.Equal(t, tt.stored, !ended.Load())
				if tt.stored {
					gate <- true
					synctest.Wait()
					assert.Equal(t, "soup", get(t, h, menu).Body.String())
					assert.EqualValues(t, 1, o.asked.Load())
				}
			})
		})
	}
	t.Run("what_others_found_in_the_store_goes_on_for_them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				set(w, "Cache-Control: public, max-age=60", "ETag: \"7\"")
				fmt.Fprint(w, "so")
				select {
				case <-gate:
					fmt.Fprint(w, "up")
				case <-r.Context().Done():
					panic(http.ErrAbortHandler)
				}
			})
			first := send(h, request("GET", menu, "Authorization: Bearer ann", `If-None-Match: "7"`), nil)
			<-first.done
			assert.Equal(t, 304, first.Code)
			second := send(h, request("GET", menu), nil)
			synctest.Wait()
			gate <- true
			<-second.done
			assert.Equal(t, "soup", second.Body.String())
			assert.EqualValues(t, 1, o.asked.Load())
		})
	})
	t.Run("but_not_for_ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var ended atomic.Bool
			h, _ := newCache(t, cache.Config{Unattended: 5 * time.Second}, func(w http.ResponseWriter, r *http.Request, n int64) {
				set(w, "Cache-Control: max-age=60")
				fmt.Fprint(w, "so")
				<-r.Context().Done()
				ended.Store(true)
				panic(http.ErrAbortHandler)
			})
			c := send(h, request("GET", menu), nil)
			time.Sleep(20 * time.Second)
			assert.False(t, ended.Load(), "somebody waits for it")
			c.cancel()
			time.Sleep(6 * time.Second)
			assert.True(t, ended.Load())
		})
	})
}

func TestAnswerThatBreaksOff(t *testing.T) {
	breaks := map[string]func(w http.ResponseWriter){
		"by_ErrAbortHandler":      func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"by_another_panic":        func(w http.ResponseWriter) { panic("oh") },
		"short_of_Content_Length": func(w http.ResponseWriter) {},
	}
	for name, breakOff := range breaks {
		for _, cacheControl := range []string{"max-age=60", "private"} {
			t.Run(name+"/"+cacheControl, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					gate := make(chan bool)
					h, o := newCache(t, cache.Config{Log: slog.New(slog.DiscardHandler)}, func(w http.ResponseWriter, r *http.Request, n int64) {
						set(w, "Cache-Control: "+cacheControl, "Content-Length: 4")
						fmt.Fprint(w, "so")
						<-gate
						breakOff(w)
					})
					one, two := send(h, request("GET", menu), nil), send(h, request("GET", menu), nil)
					synctest.Wait()
					close(gate)
					<-one.done
					<-two.done
					if cacheControl == "private" { // then one of them may have passed, and where that is short, net/http sees to it
						assert.True(t, one.cut || two.cut)
					} else {
						assert.True(t, one.cut && two.cut, "half an answer must not look like a whole one")
					}
					assert.Equal(t, "so so", one.Body.String()+" "+two.Body.String())
					n := o.asked.Load()
					<-send(h, request("GET", menu), nil).done
					assert.Equal(t, n+1, o.asked.Load(), "nothing is stored")
				})
			})
		}
	}
	t.Run("before_its_header", func(t *testing.T) {
		h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) { panic(http.ErrAbortHandler) })
		assert.Nil(t, do(h, request("GET", menu)))
		assert.Nil(t, do(h, request("GET", menu)))
		assert.EqualValues(t, 2, o.asked.Load())
	})
	t.Run("longer_than_Content_Length", func(t *testing.T) {
		var err error
		h, _ := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
			set(w, "Content-Length: 4")
			_, err = w.Write([]byte("soups"))
			assert.Equal(t, http.ErrContentLength, err)
			panic(http.ErrAbortHandler)
		})
		assert.Nil(t, do(h, request("GET", menu)))
	})
	t.Run("by_the_clients_deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _ := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) { <-r.Context().Done() })
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			w := do(h, request("GET", menu).WithContext(ctx))
			require.NotNil(t, w)
			assert.Equal(t, 504, w.Code)
		})
	})
}

func TestTooLarge(t *testing.T) {
	const size = 4 << 20
	large := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for name, declared := range map[string]bool{"length_known": true, "length_unknown": false} {
		t.Run(name, func(t *testing.T) {
			h, o := newCache(t, cache.Config{MaxBytes: 8 << 20, MaxEntry: 1 << 20}, func(w http.ResponseWriter, r *http.Request, n int64) {
				set(w, "Cache-Control: max-age=60")
				if declared {
					set(w, fmt.Sprint("Content-Length: ", size))
				}
				for p := range 64 {
					if _, err := w.Write(large[p*size/64 : (p+1)*size/64]); err != nil {
						return
					}
				}
			})
			for n := range int64(3) {
				w := get(t, h, menu)
				assert.True(t, bytes.Equal(large, w.Body.Bytes()))
				assert.Equal(t, n+1, o.asked.Load(), "it is not stored")
			}
		})
	}
	t.Run("the_slowest_reader_holds_the_writer_up_and_who_leaves_does_not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var written atomic.Int64
			start := make(chan bool)
			h, o := newCache(t, cache.Config{MaxBytes: 8 << 20, MaxEntry: 1 << 20}, func(w http.ResponseWriter, r *http.Request, n int64) {
				<-start
				set(w, "Cache-Control: max-age=60")
				w.(http.Flusher).Flush()
				<-start
				for p := range 256 {
					n, _ := w.Write(large[p*size/256 : (p+1)*size/256])
					written.Add(int64(n))
				}
			})
			fast := send(h, request("GET", menu), nil)
			slow := send(h, request("GET", menu), make(chan struct{}))
			synctest.Wait()
			start <- true
			synctest.Wait()
			start <- true
			synctest.Wait()
			assert.LessOrEqual(t, written.Load(), int64(1<<20+httpcache.Window))
			late := send(h, request("GET", menu), nil)
			synctest.Wait()
			assert.EqualValues(t, 2, o.asked.Load(), "nobody new joins")
			slow.cancel()
			close(slow.gate)
			<-fast.done
			assert.True(t, bytes.Equal(large, fast.Body.Bytes()))
			close(start)
			<-late.done
			assert.True(t, bytes.Equal(large, late.Body.Bytes()))
		})
	})
}

func TestInvalidationDuringAFetch(t *testing.T) {
	for _, half := range []bool{false, true} {
		t.Run(fmt.Sprintf("header_was_there_%v", half), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan bool)
				version := atomic.Pointer[string]{}
				set1 := func(s string) { version.Store(&s) }
				set1("old")
				h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
					if r.Method == "POST" {
						set1("new")
						return
					}
					text := *version.Load()
					set(w, "Cache-Control: max-age=60")
					if half {
						w.WriteHeader(200)
					}
					if n == 1 {
						<-gate
					}
					fmt.Fprint(w, text)
				})
				before := send(h, request("GET", menu), nil)
				synctest.Wait()
				assert.Equal(t, 200, do(h, request("POST", menu)).Code)
				after := get(t, h, menu)
				assert.Equal(t, "new", after.Body.String(), "who asks afterwards does not wait for the old one")
				gate <- true
				<-before.done
				assert.Equal(t, "old", before.Body.String())
				synctest.Wait()
				assert.Equal(t, "new", get(t, h, menu).Body.String(), "the old one is not stored over the new one")
				assert.EqualValues(t, 3, o.asked.Load())
			})
		})
	}
	t.Run("of_a_refresh", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan bool)
			h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
				if n == 2 {
					<-gate
				}
				if r.Method == "GET" {
					says("Cache-Control: max-age=60, stale-while-revalidate=60")(w, r, n)
				}
			})
			get(t, h, menu)
			time.Sleep(70 * time.Second)
			get(t, h, menu)
			synctest.Wait()
			do(h, request("POST", menu))
			gate <- true
			synctest.Wait()
			assert.Equal(t, "answer 4", get(t, h, menu).Body.String())
			assert.EqualValues(t, 4, o.asked.Load())
		})
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		h, _ := newCache(t, cache.Config{Log: slog.New(slog.DiscardHandler)}, func(w http.ResponseWriter, r *http.Request, n int64) {
			if n > 1 {
				<-r.Context().Done()
				time.Sleep(time.Second)
				ended.Store(true)
				panic(http.ErrAbortHandler)
			}
			says("Cache-Control: max-age=60, stale-while-revalidate=60")(w, r, n)
		})
		get(t, h, menu)
		time.Sleep(70 * time.Second)
		get(t, h, menu) // starts a refresh
		synctest.Wait()
		h.Close()
		assert.True(t, ended.Load(), "Close waits")
	})
}

func TestContextHasTheClientsValues(t *testing.T) {
	type key struct{}
	h, o := newCache(t, cache.Config{}, says("Cache-Control: max-age=60"))
	r := request("GET", menu)
	do(h, r.WithContext(context.WithValue(r.Context(), key{}, "v")))
	assert.Equal(t, "v", o.request().Context().Value(key{}))
}

// Over real connections.
func TestServer(t *testing.T) {
	gate := make(chan bool)
	h, o := newCache(t, cache.Config{}, func(w http.ResponseWriter, r *http.Request, n int64) {
		switch r.URL.Path {
		case "/hints":
			set(w, "Link: </menu.css>; rel=preload")
			w.WriteHeader(103)
			<-gate
			w.Header().Del("Link")
			set(w, "Cache-Control: max-age=60")
			fmt.Fprint(w, "soup")
		case "/breaks":
			set(w, "Cache-Control: max-age=60")
			fmt.Fprint(w, "soup")
			<-gate
			panic(http.ErrAbortHandler)
		case "/trailers":
			set(w, "Cache-Control: max-age=60", "Trailer: X-Sum")
			fmt.Fprint(w, "soup")
			set(w, "X-Sum: 4", http.TrailerPrefix+"X-Late: 5")
		case "/upgrade":
			conn, buf, err := http.NewResponseController(w).Hijack()
			if assert.NoError(t, err) {
				defer conn.Close()
				fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				assert.NoError(t, buf.Flush())
				_, _ = io.Copy(conn, buf)
			}
		case "/large":
			set(w, "Cache-Control: max-age=60")
			_, _ = w.Write(make([]byte, 300<<10))
		case "/nothing":
			set(w, "Cache-Control: max-age=60")
			w.WriteHeader(204)
		}
	})
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	one, two := s.Client(), &http.Client{Transport: func() http.RoundTripper {
		tr := s.Client().Transport.(*http.Transport).Clone()
		tr.ForceAttemptHTTP2 = false
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
		return tr
	}()}
	t.Cleanup(two.CloseIdleConnections)

	t.Run("hints_go_to_him_who_asked", func(t *testing.T) {
		got := make(chan string, 1)
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				got <- fmt.Sprint(code, h.Get("Link"))
				return nil
			},
		}), "GET", s.URL+"/hints", nil)
		go func() {
			assert.Equal(t, "103</menu.css>; rel=preload", <-got)
			gate <- true
		}()
		resp, err := one.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Empty(t, resp.Header.Get("Link"))
		text, err := io.ReadAll(resp.Body)
		assert.NoError(t, err)
		assert.Equal(t, "soup", string(text))
	})
	for name, c := range map[string]*http.Client{"HTTP2": one, "HTTP1": two} {
		t.Run(name+"/an_answer_that_breaks_off_is_cut", func(t *testing.T) {
			resp, err := c.Get(s.URL + "/breaks")
			require.NoError(t, err)
			defer resp.Body.Close()
			text := make([]byte, 4)
			_, err = io.ReadFull(resp.Body, text)
			require.NoError(t, err, "it streams")
			gate <- true
			_, err = io.ReadAll(resp.Body)
			assert.Error(t, err)
		})
		t.Run(name+"/trailers", func(t *testing.T) {
			for range 2 {
				resp, err := c.Get(s.URL + "/trailers")
				require.NoError(t, err)
				_, err = io.ReadAll(resp.Body)
				require.NoError(t, err)
				resp.Body.Close()
				assert.Equal(t, http.Header{"X-Sum": {"4"}, "X-Late": {"5"}}, resp.Trailer)
			}
		})
		t.Run(name+"/large_and_nothing", func(t *testing.T) {
			for range 3 {
				for path, want := range map[string]int{"/large": 300 << 10, "/nothing": 0} {
					resp, err := c.Get(s.URL + path)
					require.NoError(t, err)
					text, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					resp.Body.Close()
					assert.Len(t, text, want)
				}
			}
		})
	}
	t.Run("upgrade", func(t *testing.T) {
		r, _ := http.NewRequest("GET", s.URL+"/upgrade", nil)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "echo")
		resp, err := two.Do(r)
		require.NoError(t, err)
		require.Equal(t, 101, resp.StatusCode)
		rw := resp.Body.(io.ReadWriteCloser)
		defer rw.Close()
		fmt.Fprint(rw, "soup")
		text := make([]byte, 4)
		_, err = io.ReadFull(rw, text)
		assert.NoError(t, err)
		assert.Equal(t, "soup", string(text))
	})
	assert.LessOrEqual(t, o.asked.Load(), int64(10))
}

// Readers, writers and failures, all at once: what each reads is of one version,
// and what it asked for.
func TestNothingIsMixedUp(t *testing.T) {
	var version atomic.Int64
	h, o := newCache(t, cache.Config{MaxBytes: 64 << 10, MaxEntry: 16 << 10, Log: slog.New(slog.DiscardHandler)}, func(w http.ResponseWriter, r *http.Request, n int64) {
		if r.Method == "POST" {
			version.Add(1)
			return
		}
		v := version.Load()
		set(w, "Cache-Control: max-age=60", "Vary: Accept-Language", fmt.Sprint("X-Version: ", v))
		text := fmt.Sprintf("%s %s %d\n", r.URL.Path, r.Header.Get("Accept-Language"), v)
		for range 1 + n%40 {
			fmt.Fprint(w, text)
		}
		if n%17 == 0 {
			panic(http.ErrAbortHandler)
		}
	})
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for n := range rounds {
				path, lang := fmt.Sprint("/", (i+n)%20), []string{"de", "fr"}[n%2]
				if n%10 == 9 {
					do(h, request("POST", "https://shop.test"+path))
					continue
				}
				w := do(h, request("GET", "https://shop.test"+path, "Accept-Language: "+lang))
				if w == nil {
					continue
				}
				want := fmt.Sprintf("%s %s %s\n", path, lang, w.Header().Get("X-Version"))
				for line := range strings.Lines(w.Body.String()) {
					if !assert.Equal(t, want, line) {
						return
					}
				}
			}
		})
	}
	clients.Wait()
	t.Logf("%d requests reached the origin", o.asked.Load())
}
