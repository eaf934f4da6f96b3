package httpcache_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

// readAll reads the rest of the body in pieces of any size.
func readAll(t *testing.T, r *httpcache.Reader) (string, error) {
	t.Helper()
	var all bytes.Buffer
	for {
		p, err := r.Next(t.Context())
		if err == io.EOF {
			return all.String(), nil
		}
		if err != nil {
			return all.String(), err
		}
		all.Write(p)
	}
}

func reader(t *testing.T, b *httpcache.Body) *httpcache.Reader {
	t.Helper()
	r, ok := b.NewReader()
	require.True(t, ok)
	t.Cleanup(r.Close)
	return r
}

func TestBody(t *testing.T) {
	t.Run("readers_each_at_their_own_pace", func(t *testing.T) {
		b := httpcache.NewBody(100, -1, nil)
		one := reader(t, b)
		require.NoError(t, b.Append(t.Context(), []byte("so")))
		p, err := one.Next(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "so", string(p))
		assert.True(t, one.CaughtUp())
		require.NoError(t, b.Append(t.Context(), []byte("up")))
		assert.False(t, one.CaughtUp())
		_, ok := b.Bytes()
		assert.False(t, ok, "it may go on")
		b.Close(nil)
		rest, err := readAll(t, one)
		assert.NoError(t, err)
		assert.Equal(t, "up", rest)
		late, err := readAll(t, reader(t, b))
		assert.NoError(t, err)
		assert.Equal(t, "soup", late)
		all, ok := b.Bytes()
		assert.True(t, ok)
		assert.Equal(t, "soup", string(all))
		assert.Equal(t, httpcache.ErrEnded, b.Append(t.Context(), []byte("!")))
	})
	t.Run("failed", func(t *testing.T) {
		b := httpcache.NewBody(100, -1, nil)
		r := reader(t, b)
		require.NoError(t, b.Append(t.Context(), []byte("so")))
		cause := errors.New("broke off")
		b.Close(cause)
		b.Close(nil)
		text, err := readAll(t, r)
		assert.Equal(t, "so", text)
		assert.Equal(t, cause, err)
		_, ok := b.Bytes()
		assert.False(t, ok)
	})
	t.Run("of_what_is_there", func(t *testing.T) {
		b := httpcache.BodyOf([]byte("soup"))
		all, ok := b.Bytes()
		assert.True(t, ok)
		assert.Equal(t, "soup", string(all))
		text, err := readAll(t, reader(t, b))
		assert.NoError(t, err)
		assert.Equal(t, "soup", text)
		all, ok = (*httpcache.Body)(nil).Bytes()
		assert.True(t, ok)
		assert.Empty(t, all)
	})
	t.Run("waiting_ends_with_the_context", func(t *testing.T) {
		b := httpcache.NewBody(0, -1, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Equal(t, context.Canceled, b.Append(ctx, make([]byte, httpcache.Window+1)), "no room, and no reader")
		r := reader(t, b)
		_, err := r.Next(ctx)
		require.NoError(t, err)
		_, err = r.Next(ctx)
		assert.Equal(t, context.Canceled, err)
		r.Close()
		_, err = r.Next(t.Context())
		assert.Equal(t, io.ErrClosedPipe, err)
	})
	t.Run("memory_is_asked_for_and_given_back", func(t *testing.T) {
		var used, most int64
		grow := func(delta int64) bool {
			used += delta
			most = max(most, used)
			return true
		}
		b := httpcache.NewBody(100_000, 5000, grow)
		for range 50 {
			require.NoError(t, b.Append(t.Context(), make([]byte, 100)))
		}
		b.Close(nil)
		all, _ := b.Bytes()
		assert.Equal(t, int64(cap(all)), used)
		assert.Less(t, most, int64(5500), "the length was known")

		used = 0
		b = httpcache.NewBody(100_000, -1, grow)
		for range 205 {
			require.NoError(t, b.Append(t.Context(), make([]byte, 100)))
		}
		b.Close(nil)
		all, _ = b.Bytes()
		assert.Equal(t, int64(cap(all)), used)
		assert.Less(t, used, int64(24_000), "without the room to grow")
	})
}

func TestBodyOutgrowsItsLimit(t *testing.T) {
	content := make([]byte, 1<<20)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	const limit = 200_000
	for name, limit := range map[string]int64{"kept_at_first": limit, "never_kept": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var used int64
				b := httpcache.NewBody(limit, -1, func(delta int64) bool { used += delta; return true })
				n := 3
				if limit == 0 {
					n = 1
				}
				var readers []*httpcache.Reader
				for range n {
					readers = append(readers, reader(t, b))
				}
				appended := 0
				go func() {
					for appended < len(content) {
						assert.NoError(t, b.Append(t.Context(), content[appended:appended+1024]))
						appended += 1024
					}
					b.Close(nil)
				}()
				synctest.Wait()
				assert.LessOrEqual(t, appended, int(limit)+httpcache.Window, "the writer waits")
				assert.False(t, b.Kept())
				_, ok := b.NewReader()
				assert.False(t, ok, "nobody new may join")
				if n > 1 {
					readers[2].Close() // it reads no more
				}
				assert.Equal(t, max(n-1, 1), b.Readers())
				var all sync.WaitGroup
				for i, r := range readers[:max(n-1, 1)] {
					all.Go(func() {
						var got bytes.Buffer
						for {
							p, err := r.Next(t.Context())
							if err == io.EOF {
								break
							}
							assert.NoError(t, err)
							assert.LessOrEqual(t, len(p), max(int(limit), httpcache.Window))
							if i == 0 {
								synctest.Wait() // the other one, and the writer, are as far as they can come
							}
							got.Write(p)
						}
						assert.True(t, bytes.Equal(content, got.Bytes()))
					})
				}
				all.Wait()
				assert.Zero(t, used, "what was asked for is given back")
				_, ok = b.Bytes()
				assert.False(t, ok)
			})
		})
	}
	t.Run("when_memory_is_refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			used := int64(0)
			b := httpcache.NewBody(1<<20, -1, func(delta int64) bool {
				if used+delta > 300_000 {
					return false
				}
				used += delta
				return true
			})
			r := reader(t, b)
			go func() {
				for p := range slices.Chunk(content, 100) {
					assert.NoError(t, b.Append(t.Context(), p))
				}
				b.Close(nil)
			}()
			text, err := readAll(t, r)
			assert.NoError(t, err)
			assert.True(t, text == string(content))
			assert.False(t, b.Kept())
			assert.Zero(t, used)
		})
	})
}

func BenchmarkBodyStream(b *testing.B) {
	p := make([]byte, 32<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	body := httpcache.NewBody(0, -1, nil)
	r, _ := body.NewReader()
	go func() {
		for {
			if _, err := r.Next(b.Context()); err != nil {
				return
			}
		}
	}()
	for b.Loop() {
		_ = body.Append(b.Context(), p)
	}
	body.Close(nil)
}
