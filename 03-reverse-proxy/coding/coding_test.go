package coding_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/coding"
)

// Whatever a Writer makes is judged by decoding it: for gzip with the standard
// library, for zstd within the 8 MB that a browser allows.

func TestWriter(t *testing.T) {
	for _, name := range coding.Names() {
		t.Run(name+"_comes_back_as_it_was", func(t *testing.T) {
			for _, size := range []int{0, 1, 1 << 10, 100 << 10} {
				content := menu(size)
				var compressed bytes.Buffer
				w, err := coding.NewWriter(name, &compressed)
				require.NoError(t, err)
				_, err = w.Write(content)
				require.NoError(t, err)
				require.NoError(t, w.Close())
				got, err := io.ReadAll(decode(t, name, &compressed))
				require.NoError(t, err, "%d bytes in %s", size, name)
				require.True(t, bytes.Equal(content, got), "%d bytes in %s are others when they are decoded", size, name)
			}
		})

		t.Run(name+"_can_be_read_after_a_flush", func(t *testing.T) {
			from, to := io.Pipe()
			w, err := coding.NewWriter(name, to)
			require.NoError(t, err)
			go func() {
				for range 3 {
					_, _ = w.Write([]byte("data: a plate of soup\n\n"))
					_ = w.Flush()
				}
				_ = to.CloseWithError(errors.New("that was all")) // without an end of the stream
			}()
			got := make([]byte, 3*len("data: a plate of soup\n\n"))
			_, err = io.ReadFull(decode(t, name, from), got)
			require.NoError(t, err, "what was written before a Flush can be decoded, though nothing comes behind it")
			require.Contains(t, string(got), "soup")
		})

		t.Run(name+"_shows_that_its_end_is_missing", func(t *testing.T) {
			var compressed bytes.Buffer
			w, err := coding.NewWriter(name, &compressed)
			require.NoError(t, err)
			_, err = w.Write(menu(10 << 10))
			require.NoError(t, err)
			require.NoError(t, w.Flush())
			_, err = io.ReadAll(decode(t, name, &compressed))
			require.Error(t, err, "the writer was dropped without Close: what it wrote must not look whole")
		})

		t.Run(name+"_forgets_the_one_before", func(t *testing.T) {
			for i := range 4 {
				broken, err := coding.NewWriter(name, failing{})
				require.NoError(t, err)
				_, _ = broken.Write(menu(20 << 10))
				require.Error(t, broken.Close(), "what is below refused the bytes: that must not get lost")

				var compressed bytes.Buffer
				w, err := coding.NewWriter(name, &compressed)
				require.NoError(t, err)
				_, err = fmt.Fprint(w, "table ", i)
				require.NoError(t, err)
				require.NoError(t, w.Close())
				got, err := io.ReadAll(decode(t, name, &compressed))
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint("table ", i), string(got), "a writer from the pool must begin anew")
			}
		})

		t.Run(name+"_is_over_after_close", func(t *testing.T) {
			w, err := coding.NewWriter(name, io.Discard)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			_, err = w.Write([]byte("more"))
			assert.ErrorIs(t, err, coding.ErrClosed)
			assert.ErrorIs(t, w.Flush(), coding.ErrClosed)
			assert.ErrorIs(t, w.Close(), coding.ErrClosed, "closed twice, it would be in the pool twice, and two answers would get mixed")
		})

		t.Run(name+"_packed_well_is_smaller", func(t *testing.T) {
			content := menu(20 << 10)
			best, err := coding.Encode(name, content)
			require.NoError(t, err)
			got, err := io.ReadAll(decode(t, name, bytes.NewReader(best)))
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got))
			var compressed bytes.Buffer
			w, err := coding.NewWriter(name, &compressed)
			require.NoError(t, err)
			_, err = w.Write(content)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			assert.Less(t, len(best), compressed.Len())
		})
	}

	t.Run("names_those_there_are", func(t *testing.T) {
		_, err := coding.NewWriter("deflate", io.Discard)
		require.ErrorContains(t, err, `"deflate"`)
		require.ErrorContains(t, err, `"gzip"`)
		_, err = coding.Encode("deflate", nil)
		require.ErrorContains(t, err, `"deflate"`)
	})
}

func BenchmarkWriter(b *testing.B) {
	for _, size := range []int{1 << 10, 32 << 10} {
		content := menu(size)
		for _, name := range coding.Names() {
			b.Run(fmt.Sprintf("%s/%dKB", name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				var compressed bytes.Buffer
				for b.Loop() {
					compressed.Reset()
					w, err := coding.NewWriter(name, &compressed)
					if err != nil {
						b.Fatal(err)
					}
					_, _ = w.Write(content)
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(100*float64(compressed.Len())/float64(size), "%size")
			})
		}
	}
}

// decode reads what is compressed in from.
func decode(t *testing.T, name string, from io.Reader) io.Reader {
	switch name {
	case "gzip":
		return &later{open: func() (io.Reader, error) { return gzip.NewReader(from) }}
	case "br":
		return brotli.NewReader(from)
	default:
		r, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		require.NoError(t, err)
		t.Cleanup(r.Close)
		return r
	}
}

// later is a reader that is opened by the first Read.
type later struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *later) Read(p []byte) (n int, err error) {
	if l.r == nil {
		if l.r, err = l.open(); err != nil {
			return 0, err
		}
	}
	return l.r.Read(p)
}

// failing is a connection that broke.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// menu is JSON of this size, the same each time.
func menu(size int) []byte {
	words := []string{"soup", "bread", "of the day", "with", "lentils", "tomato", "roasted", "and", "rice", "grilled", "fish"}
	draw := rand.New(rand.NewPCG(1, 2))
	var all bytes.Buffer
	for all.Len() < size {
		dish, _ := json.Marshal(map[string]any{"id": draw.Uint32(), "price": draw.IntN(3000), "currency": "EUR",
			"name": words[draw.IntN(len(words))] + " " + words[draw.IntN(len(words))] + " " + words[draw.IntN(len(words))]})
		all.Write(dish)
	}
	return all.Bytes()[:size]
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{1 << 10, 32 << 10, 300 << 10} {
		content := menu(size)
		for _, name := range coding.Names() {
			b.Run(fmt.Sprintf("%s/%dKB", name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				var encoded []byte
				for b.Loop() {
					var err error
					if encoded, err = coding.Encode(name, content); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(100*float64(len(encoded))/float64(size), "%size")
			})
		}
	}
}
