package compress_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/solution/compress"
)

// In these tests, MinSize is 1000. Whatever was compressed is judged by the
// standard library, and by the decoders of brotli and zstd.
const minSize = 1000

// Which answers are compressed.
func TestWhich(t *testing.T) {
	t.Run("a_page_for_a_client_that_can_decode_it", func(t *testing.T) {
		a := ask(t, "gzip", page(5000))
		a.compressed(t, "gzip", "5,000 bytes of HTML are worth it, and the client accepts gzip")
	})

	t.Run("an_answer_whatever_its_status", func(t *testing.T) {
		for _, status := range []int{201, 404, 500} {
			a := ask(t, "gzip", page(5000).with(status))
			require.Equal(t, status, a.status, "the handler answered %d. WriteHeader must pass it on", status)
			a.compressed(t, "gzip", fmt.Sprintf("the page that tells of a %d has content like any other", status))
		}
	})

	t.Run("in_the_coding_that_the_client_likes_best", func(t *testing.T) {
		for accept, name := range map[string]string{"br": "br", "zstd": "zstd", "gzip;q=0.5, br;q=0.1": "gzip"} {
			a := ask(t, accept, page(5000))
			a.compressed(t, name, "the choice was made by acceptencoding.Choose, and is in w.coding")
		}
	})

	t.Run("no_answer_for_a_client_that_cannot", func(t *testing.T) {
		ask(t, "gzip", page(5000)).compressed(t, "gzip", "the client accepts gzip")
		for _, accept := range []string{"", "identity", "gzip;q=0"} {
			ask(t, accept, page(5000)).asItWas(t, "the client accepts no coding. In a coding, the content is garbage to it (RFC 9110 §12.5.3)")
		}
	})

	t.Run("no_pictures", func(t *testing.T) {
		ask(t, "gzip", page(5000).field("Content-Type", "image/svg+xml")).compressed(t, "gzip", "an SVG is text, and Config.Types names its type")
		ask(t, "gzip", page(5000).field("Content-Type", "image/jpeg")).asItWas(t, "Config.Types does not name image/jpeg: a JPEG is compressed already, and would only get longer")
	})

	t.Run("a_type_with_parameters_in_any_case", func(t *testing.T) {
		ask(t, "gzip", page(5000).field("Content-Type", "Application/JSON; charset=utf-8")).compressed(t, "gzip", "a media type is compared without its parameters, and case makes no difference (RFC 9110 §8.3.1): w.c.worth does both")
	})

	t.Run("a_type_that_the_handler_left_to_be_guessed", func(t *testing.T) {
		a := ask(t, "gzip", page(5000).field("Content-Type", ""))
		a.compressed(t, "gzip", "the handler set no Content-Type, and net/http guesses it from what is written first: begin does that, if it gets p as its next")
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"), "the handler set no Content-Type, and wrote HTML")
	})

	t.Run("none_whose_length_is_below_the_minimum", func(t *testing.T) {
		ask(t, "gzip", page(minSize).sized()).compressed(t, "gzip", "MinSize is 1000, and so is Content-Length: that is enough")
		a := ask(t, "gzip", page(minSize-1).sized())
		a.asItWas(t, "MinSize is 1000, and Content-Length is 999: less than that is not worth it")
		require.Equal(t, "999", a.header.Get("Content-Length"), "the answer is sent as it was: its Content-Length still holds")
	})

	t.Run("none_that_turns_out_to_be_below_the_minimum", func(t *testing.T) {
		ask(t, "gzip", page(minSize).inWritesOf(100)).compressed(t, "gzip", "1,000 bytes in 10 calls of Write, no Content-Length, and MinSize is 1000: with the tenth there is enough")
		ask(t, "gzip", page(minSize-1).inWritesOf(100)).asItWas(t, "999 bytes in 10 calls of Write, no Content-Length, and MinSize is 1000: nobody knows beforehand that it stays below. So Write must hold back what it gets, in w.held, until there is enough; and here there never is")
	})

	t.Run("none_without_content", func(t *testing.T) {
		ask(t, "gzip", page(5000)).compressed(t, "gzip", "a 200")
		for _, status := range []int{204, 205, 304} {
			a := ask(t, "gzip", page(0).with(status))
			require.Equal(t, status, a.status)
			require.Empty(t, a.header.Get("Content-Encoding"), "a %d of type text/html: it has no content (RFC 9110 §15.3.5, §15.3.6, §15.4.5), so there is nothing that is in a coding", status)
			require.Empty(t, a.raw, "a %d has no content, and even an empty gzip stream is 20 bytes or more", status)
			a = &answer{}
			a.from(t, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				page(0).with(status).answer(w, r)
				_ = http.NewResponseController(w).Flush()
			})), request("GET", "gzip"))
			require.Empty(t, a.header.Get("Content-Encoding"), "a %d of type text/html, which the handler flushes: it has no content (RFC 9110 §15.3.5, §15.3.6, §15.4.5), so there is nothing that is in a coding", status)
			require.Empty(t, a.raw, "a %d, which the handler flushes: it has no content, and even an empty gzip stream is 20 bytes or more", status)
		}
	})

	t.Run("no_part_of_something", func(t *testing.T) {
		ask(t, "gzip", page(5000)).compressed(t, "gzip", "a 200")
		ask(t, "gzip", page(5000).with(206).field("Content-Range", "bytes 0-4999/90000")).asItWas(t, "a 206 is the part of the content that Content-Range names, and those numbers count its bytes as they are (RFC 9110 §14.4). The client puts it together with other parts")
		ask(t, "gzip", page(5000).with(206).field("Content-Type", "text/html")).asItWas(t, "a 206 is a part, whatever else its header says (RFC 9110 §15.3.7)")
	})

	t.Run("nothing_that_has_content_range", func(t *testing.T) {
		ask(t, "gzip", page(5000).with(416)).compressed(t, "gzip", "a 416 with an ordinary page")
		ask(t, "gzip", page(5000).with(416).field("Content-Range", "bytes */90000")).asItWas(t, "Content-Range tells how long the content is, as it is (RFC 9110 §14.4)")
	})

	t.Run("nothing_that_is_compressed_already", func(t *testing.T) {
		ask(t, "gzip", page(5000)).compressed(t, "gzip", "no Content-Encoding")
		for _, was := range []string{"br", "deflate", "identity"} {
			a := ask(t, "gzip", page(5000).field("Content-Encoding", was).field("Etag", `"abc"`))
			require.Equal(t, []string{was}, a.header["Content-Encoding"], "the handler set Content-Encoding: %s, whatever that is to say. Twice is longer, not shorter", was)
			require.Equal(t, a.content, string(a.raw), "the handler set Content-Encoding: %s. Its content must pass as it is", was)
			require.Equal(t, `"abc"`, a.header.Get("Etag"), "the handler set Content-Encoding: %s, and gave that its own ETag", was)
		}
	})

	t.Run("nothing_twice", func(t *testing.T) {
		inner := newHandler(t, http.HandlerFunc(page(5000).answer))
		a := &answer{content: page(5000).content, accept: "gzip"}
		a.from(t, newHandler(t, inner), request("GET", "gzip"))
		a.compressed(t, "gzip", "one New in another, as where a proxy stands behind a proxy: the inner one set Content-Encoding, so the outer one has nothing to do")
	})

	t.Run("nothing_where_it_is_forbidden", func(t *testing.T) {
		ask(t, "gzip", page(5000).field("Cache-Control", "max-age=60")).compressed(t, "gzip", "Cache-Control: max-age=60 forbids nothing")
		ask(t, "gzip", page(5000).field("Cache-Control", "max-age=60, No-Transform")).asItWas(t, "Cache-Control: no-transform says that nobody may change the content (RFC 9111 §5.2.2.6)")
	})
}

// What changes in their headers.
func TestHeader(t *testing.T) {
	t.Run("says_to_caches_that_the_coding_varies", func(t *testing.T) {
		a := ask(t, "gzip", page(5000))
		require.Equal(t, []string{"Accept-Encoding"}, a.header["Vary"], "Vary of an answer that was compressed: another client may accept something else, and a cache must not give it this (RFC 9110 §12.5.5)")
	})

	t.Run("says_so_when_it_is_not_compressed_too", func(t *testing.T) {
		a := ask(t, "", page(5000))
		require.Equal(t, []string{"Accept-Encoding"}, a.header["Vary"], "Vary of a page that was not compressed, as this client accepts no coding: without Vary, a cache gives it to everybody, and nobody gets it compressed any more. nginx calls this gzip_vary")
	})

	t.Run("does_not_say_so_where_it_never_is", func(t *testing.T) {
		require.Equal(t, []string{"Accept-Encoding"}, ask(t, "gzip", page(5000)).header["Vary"], "Vary of a page")
		for _, accept := range []string{"gzip", ""} {
			a := ask(t, accept, page(5000).field("Content-Type", "image/jpeg"))
			require.Empty(t, a.header["Vary"], "Vary of a JPEG, to a client with Accept-Encoding: %s. All get the same, and a cache would keep it once for each", accept)
			for _, status := range []int{101, 204, 205} {
				require.Empty(t, ask(t, accept, page(0).with(status)).header["Vary"], "Vary of a %d of type text/html, to a client with Accept-Encoding: %s. It has no content, so it is never compressed", status, accept)
			}
		}
	})

	t.Run("adds_to_the_vary_that_is_there", func(t *testing.T) {
		for _, row := range [][2]string{
			{"Cookie", "Cookie, Accept-Encoding"},
			{"Cookie, accept-encoding", "Cookie, accept-encoding"},
			{"*", "*"},
		} {
			a := ask(t, "gzip", page(5000).field("Vary", row[0]))
			require.Equal(t, row[1], strings.Join(a.header["Vary"], ", "), "the handler set Vary: %s. What it named stays, and Accept-Encoding is there once: addVary does it", row[0])
		}
	})

	t.Run("has_no_content_length_any_more", func(t *testing.T) {
		a := ask(t, "gzip", page(5000).sized())
		a.compressed(t, "gzip", "Content-Length is 5000")
		require.Empty(t, a.header["Content-Length"], "Content-Length was the length before it was compressed. A client would wait for bytes that never come")
	})

	t.Run("offers_no_ranges_any_more", func(t *testing.T) {
		a := ask(t, "gzip", page(5000).field("Accept-Ranges", "bytes"))
		a.compressed(t, "gzip", "Accept-Ranges is there")
		require.Empty(t, a.header["Accept-Ranges"], "Accept-Ranges: bytes invites to ask for a part of these bytes later (RFC 9110 §14.3). But who does gets a part of the content as it was")
	})

	t.Run("has_no_sums_of_other_bytes", func(t *testing.T) {
		a := ask(t, "gzip", page(5000).field("Repr-Digest", "sha-256=:AAAA:").field("Content-Md5", "AAAA"))
		a.compressed(t, "gzip", "with digests")
		require.Empty(t, a.header["Repr-Digest"], "Repr-Digest is a sum over the bytes as they were (RFC 9530 §3); ofBytes lists all fields of that kind")
		require.Empty(t, a.header["Content-Md5"], "Content-MD5 is a sum over the bytes as they were; ofBytes lists all fields of that kind")
	})

	t.Run("has_an_etag_of_its_own", func(t *testing.T) {
		require.Equal(t, `"abc-gzip"`, ask(t, "gzip", page(5000).field("Etag", `"abc"`)).header.Get("Etag"), `the handler's ETag is "abc". These bytes are others, and a strong tag stands for bytes (RFC 9110 §8.8.3.3)`)
		require.Equal(t, `"abc-br"`, ask(t, "br", page(5000).field("Etag", `"abc"`)).header.Get("Etag"), `the handler's ETag is "abc", and the coding is br`)
		require.Nil(t, ask(t, "gzip", page(5000)).header["Etag"], "the handler set no ETag: then there is none, and no empty one either, which would be the same for all content")
	})

	t.Run("keeps_the_etag_of_what_is_not_compressed", func(t *testing.T) {
		require.Equal(t, `"abc-gzip"`, ask(t, "gzip", page(5000).field("Etag", `"abc"`)).header.Get("Etag"), `the handler's ETag is "abc", and the answer is compressed`)
		require.Equal(t, `"abc"`, ask(t, "", page(5000).field("Etag", `"abc"`)).header.Get("Etag"), `the handler's ETag is "abc", and the answer is not compressed`)
		require.Equal(t, `"abc"`, ask(t, "gzip", page(50).field("Etag", `"abc"`)).header.Get("Etag"), `the handler's ETag is "abc", and the answer is too small to be compressed`)
	})

	t.Run("keeps_what_is_about_bytes_that_stay", func(t *testing.T) {
		whole := page(5000).sized().field("Accept-Ranges", "bytes").field("Repr-Digest", "sha-256=:AAAA:")
		require.Nil(t, ask(t, "gzip", whole).header["Content-Length"], "Content-Length was 5000, and the answer is compressed")
		a := ask(t, "", whole)
		a.asItWas(t, "the client accepts no coding")
		for field, value := range map[string]string{"Content-Length": "5000", "Accept-Ranges": "bytes", "Repr-Digest": "sha-256=:AAAA:"} {
			require.Equal(t, value, a.header.Get(field), "%s of a page that was not compressed, as this client accepts no coding: it is about the bytes as they are, and these are sent. Only for an answer in a coding does it go", field)
		}
	})

	t.Run("keeps_a_weak_etag", func(t *testing.T) {
		a := ask(t, "gzip", page(5000).field("Etag", `W/"abc"`))
		a.compressed(t, "gzip", "the ETag is weak")
		require.Equal(t, `W/"abc"`, a.header.Get("Etag"), `a weak tag stands for what means the same, in whatever coding (RFC 9110 §8.8.1): suffixed knows that`)
	})

	t.Run("says_to_head_what_it_says_to_get", func(t *testing.T) {
		get := ask(t, "gzip", page(5000).sized().field("Etag", `"abc"`))
		get.compressed(t, "gzip", "GET")
		head := &answer{}
		head.from(t, newHandler(t, http.HandlerFunc(page(5000).sized().field("Etag", `"abc"`).answer)), request("HEAD", "gzip"))
		for _, field := range []string{"Content-Encoding", "Content-Length", "Etag", "Vary"} {
			require.Equal(t, get.header[field], head.header[field], "%s in the answer to HEAD: it is that of the answer to GET (RFC 9110 §9.3.2), or a cache concludes that what it keeps has changed", field)
		}
		require.Empty(t, head.raw, "HEAD is answered without content")
	})
}

// How the content flows.
func TestStream(t *testing.T) {
	t.Run("starts_before_it_has_all", func(t *testing.T) {
		var early int
		content := page(1 << 20).content
		ask(t, "gzip", page(5000)).compressed(t, "gzip", "5,000 bytes in one Write")
		a := &answer{content: content}
		rec := httptest.NewRecorder()
		a.into(t, rec, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			for rest := content; rest != ""; rest = rest[min(len(rest), 4096):] {
				if len(rest) <= 4096 {
					early = rec.Body.Len()
				}
				_, _ = io.WriteString(w, rest[:min(len(rest), 4096)])
			}
		})), request("GET", "gzip"))
		require.NotZero(t, early, "a handler wrote 1 MB in 256 calls of Write, and before the last one not a byte had been passed on: only what is below MinSize may be held back. Whoever holds back everything needs as much memory as a film is long, and the client waits for all of it")
		a.compressed(t, "gzip", "1 MB in many writes")
	})

	t.Run("flushes_what_is_below_the_minimum", func(t *testing.T) {
		var at string
		rec := httptest.NewRecorder()
		a := &answer{content: "data: soup\n\ndata: fish\n\n"}
		a.into(t, rec, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: soup\n\n")
			assert.NoError(t, http.NewResponseController(w).Flush())
			at = soFar(rec.Body.Bytes(), "gzip")
			_, _ = io.WriteString(w, "data: fish\n\n")
		})), request("GET", "gzip"))
		require.Equal(t, "gzip", a.header.Get("Content-Encoding"), "a handler wrote 12 bytes of text and flushed: there may be a lot more, and nobody can tell. begin(nil, true) compresses it")
		require.Equal(t, "data: soup\n\n", at, "a handler wrote an event and called Flush. When Flush returned, this much of it could be decoded from what had been passed on. The next event may come in an hour")
		require.True(t, rec.Flushed, "the ResponseWriter below was not flushed: it keeps something back, too")
		a.compressed(t, "gzip", "two events")
	})

	t.Run("flushes_again_and_again", func(t *testing.T) {
		for _, name := range []string{"gzip", "br", "zstd"} {
			var want, got strings.Builder
			rec := httptest.NewRecorder()
			a := &answer{}
			a.into(t, rec, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 5 {
					fmt.Fprintf(w, "data: %d\n\n", i)
					fmt.Fprintf(&want, "data: %d\n\n", i)
					if f, ok := w.(http.Flusher); ok {
						f.Flush()
					}
					got.Reset()
					got.WriteString(soFar(rec.Body.Bytes(), name))
					if got.String() != want.String() {
						return
					}
				}
			})), request("GET", name))
			require.Equal(t, name, a.header.Get("Content-Encoding"), "a stream of events")
			require.Equal(t, want.String(), got.String(), "a handler flushed after each event, coding %s: after the last Flush, this could be decoded. The encoder holds back, too: flush it before the ResponseWriter", name)
		}
	})

	t.Run("flushes_a_header_without_content", func(t *testing.T) {
		rec := httptest.NewRecorder()
		var status int
		a := &answer{content: strings.Repeat("late ", 500)}
		a.into(t, rec, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusAccepted)
			assert.NoError(t, http.NewResponseController(w).Flush())
			if rec.Flushed {
				status = rec.Code
			}
			_, _ = io.WriteString(w, a.content)
		})), request("GET", "gzip"))
		require.Equal(t, http.StatusAccepted, status, "a handler called WriteHeader(202) and Flush, with no content yet: the header must go out")
		a.compressed(t, "gzip", "flushed first, then written")
	})

	t.Run("flushes_before_anything_is_written", func(t *testing.T) {
		rec := httptest.NewRecorder()
		flushed := false
		a := &answer{content: strings.Repeat("late ", 500)}
		a.into(t, rec, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			assert.NoError(t, http.NewResponseController(w).Flush())
			flushed = rec.Flushed
			_, _ = io.WriteString(w, a.content)
		})), request("GET", "gzip"))
		require.True(t, flushed, "a handler called Flush first of all, as one does that sends events: the header must go out, or the browser does not even know that it is connected")
		require.Equal(t, 200, a.status, "a handler called Flush before WriteHeader: that means 200, as for Write")
		a.compressed(t, "gzip", "flushed first, then written")
	})

	t.Run("flushes_what_is_not_compressed", func(t *testing.T) {
		ask(t, "gzip", page(5000)).compressed(t, "gzip", "the client accepts gzip")
		for _, accept := range []string{"", "gzip"} {
			var at string
			rec := httptest.NewRecorder()
			a := &answer{content: "\x89PNG, and more later"}
			a.into(t, rec, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "image/png")
				if accept == "" {
					w.Header().Set("Content-Type", "text/html")
				}
				_, _ = io.WriteString(w, a.content[:4])
				assert.NoError(t, http.NewResponseController(w).Flush())
				if rec.Flushed {
					at = rec.Body.String()
				}
				_, _ = io.WriteString(w, a.content[4:])
			})), request("GET", accept))
			require.Equal(t, a.content[:4], at, "a handler wrote 4 bytes of type %s, for a client with Accept-Encoding: %s, and called Flush. This had been passed on and flushed when it returned. There is no encoder here, and the ResponseWriter below must be flushed all the same", a.header.Get("Content-Type"), accept)
			a.asItWas(t, "an image, or a client that accepts no coding")
		}
	})

	t.Run("flushes_through_who_stands_below", func(t *testing.T) {
		rec := httptest.NewRecorder()
		a := &answer{content: "data: soup\n\n"}
		h := newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, a.content)
			assert.NoError(t, http.NewResponseController(w).Flush())
		}))
		a.into(t, rec, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(counting{w}, r) }), request("GET", "gzip"))
		a.compressed(t, "gzip", "an event")
		require.True(t, rec.Flushed, "below stands the ResponseWriter of a middleware that has Unwrap, and no Flush of its own. The one below that was not flushed: http.NewResponseController finds it")
	})

	t.Run("says_that_it_cannot_flush", func(t *testing.T) {
		var err error
		a := &answer{content: "data: soup\n\n"}
		h := newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, a.content)
			err = http.NewResponseController(w).Flush()
		}))
		a.into(t, httptest.NewRecorder(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		}), request("GET", "gzip"))
		a.compressed(t, "gzip", "an event")
		require.ErrorIs(t, err, http.ErrNotSupported, "Flush, where the ResponseWriter below can neither flush nor be unwrapped: the handler must be told, as it is without New. The error of http.ResponseController says it")
	})

	t.Run("says_that_the_client_has_left", func(t *testing.T) {
		for _, flush := range []bool{false, true} {
			var err error
			writes := 0
			a := &answer{}
			h := newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				for ; err == nil && writes < 100; writes++ {
					_, err = io.WriteString(w, page(5000).content)
					if flush && err == nil {
						err = http.NewResponseController(w).Flush()
					}
				}
			}))
			a.into(t, httptest.NewRecorder(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(gone{w}, r) }), request("GET", "gzip"))
			require.Equal(t, "gzip", a.header.Get("Content-Encoding"), "a page for a client that accepts gzip")
			require.ErrorIs(t, err, errGone, "a handler wrote 5,000 bytes 100 times, and flush after each is %t, while each Write of the ResponseWriter below failed with this error. The handler must be told, or it works for hours for somebody who has left", flush)
		}
	})

	t.Run("does_not_keep_the_slice", func(t *testing.T) {
		a := &answer{}
		a.from(t, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			buf := make([]byte, 100)
			for i := range 20 {
				copy(buf, bytes.Repeat([]byte{'a' + byte(i)}, 100))
				a.content += string(buf)
				n, err := w.Write(buf)
				assert.NoError(t, err)
				assert.Equal(t, 100, n, "Write was given 100 bytes, and took them: it must return 100, nil (io.Writer)")
			}
		})), request("GET", "gzip"))
		a.compressed(t, "gzip", "a handler wrote 20 times from the same slice, which it fills anew each time, as io.Copy does. Write must not keep p (io.Writer): what is held back has to be a copy")
	})

	t.Run("keeps_the_status", func(t *testing.T) {
		a := ask(t, "gzip", page(minSize+100).with(404).inWritesOf(100))
		require.Equal(t, 404, a.status, "a handler called WriteHeader(404), then Write")
		a.compressed(t, "gzip", "a page of a 404")
		require.Equal(t, 200, ask(t, "gzip", page(50)).status, "a handler wrote 50 bytes, without WriteHeader: that means 200")
	})

	t.Run("is_not_moved_by_an_error_that_comes_late", func(t *testing.T) {
		a := &answer{content: strings.Repeat("soup ", 300) + "no more soup\n"}
		a.from(t, newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, a.content[:100])
			http.Error(w, a.content[100:len(a.content)-1], http.StatusInternalServerError)
		})), request("GET", "gzip"))
		require.Equal(t, 200, a.status, "the handler wrote content, which means 200, and then called http.Error: that is too late")
		require.Equal(t, "text/html", a.header.Get("Content-Type"), "the handler set Content-Type: text/html, wrote, and then called http.Error, which sets another one: that is too late")
		a.compressed(t, "gzip", "text, and an error behind it")
	})

	t.Run("does_not_look_whole_after_a_panic", func(t *testing.T) {
		rec := httptest.NewRecorder()
		a := &answer{}
		a.into(t, rec, aborting(newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, page(5000).content)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))), request("GET", "gzip"))
		require.Equal(t, "gzip", a.header.Get("Content-Encoding"), "5,000 bytes of HTML")
		_, err := decode(a.raw, "gzip")
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a handler wrote half a page, and panicked: what the client got so far must not have an end, or a cache keeps half a page as a whole one")
	})

	t.Run("does_not_look_whole_when_half_is_missing", func(t *testing.T) {
		rec := httptest.NewRecorder()
		a := &answer{}
		a.into(t, rec, aborting(newHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", "10000")
			_, _ = io.WriteString(w, page(5000).content)
		}))), request("GET", "gzip"))
		require.Equal(t, "gzip", a.header.Get("Content-Encoding"), "10,000 bytes of HTML")
		_, err := decode(a.raw, "gzip")
		require.Error(t, err, "a handler wrote 5,000 bytes, and Content-Length was 10000: half of it is missing, and without Content-Length the end of the coding is all by which the client could tell")
	})
}

// Over real connections, with net/http at both ends.
func TestServer(t *testing.T) {
	t.Run("sends_events_as_they_come", func(t *testing.T) {
		received := make(chan struct{})
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: the soup is ready\n\n")
			if http.NewResponseController(w).Flush() == nil {
				select {
				case <-received:
				case <-r.Context().Done():
				}
			}
		})
		resp := get(t, addr, "gzip", nil)
		require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"), "a stream of events")
		line := make(chan string, 1)
		go func() {
			unzip, err := gzip.NewReader(resp.Body)
			if err != nil {
				line <- err.Error()
				return
			}
			text, err := bufio.NewReader(unzip).ReadString('\n')
			line <- text
			if err != nil {
				line <- err.Error()
			}
		}()
		select {
		case got := <-line:
			require.Equal(t, "data: the soup is ready\n", got, "the first event of a stream that goes on")
		case <-time.After(2 * time.Second):
			require.Fail(t, "the event has not arrived after 2 seconds", "a handler wrote an event, and flushed: it must arrive though the answer goes on")
		}
		close(received)
	})

	t.Run("answers_304_to_who_has_it_compressed", func(t *testing.T) {
		var asked []string
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Header.Get("If-None-Match"))
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Content-Type", "text/html")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(page(5000).content))
		})
		first := get(t, addr, "gzip", nil)
		require.Equal(t, `"v1-gzip"`, first.Header.Get("Etag"), `the handler's ETag is "v1"`)
		second := get(t, addr, "gzip", http.Header{"If-None-Match": {`"v0", ` + first.Header.Get("Etag")}})
		require.Equal(t, `"v0", "v1"`, asked[1], "If-None-Match as the handler got it: the suffix is none of its business")
		require.Equal(t, http.StatusNotModified, second.StatusCode, "the client has that very content")
		require.Equal(t, `"v1-gzip"`, second.Header.Get("Etag"), "the ETag of the 304 is the one that the client knows its copy by (RFC 9110 §15.4.5)")
		require.Equal(t, "Accept-Encoding", second.Header.Get("Vary"), "Vary of the 304: a cache takes the fields of a 304 over into what it has stored (RFC 9111 §3.2)")
		third := get(t, addr, "br", http.Header{"If-None-Match": {`"v1-gzip"`}})
		require.Equal(t, http.StatusOK, third.StatusCode, "the client has it in gzip, and now wants br: with a 304, a cache that keeps both would give the wrong one")
	})

	t.Run("lets_a_change_through_from_who_has_seen_it_compressed", func(t *testing.T) {
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Etag", `"v1"`)
			if r.Method == "PUT" && r.Header.Get("If-Match") != `"v1"` {
				w.WriteHeader(http.StatusPreconditionFailed)
			}
			_, _ = io.WriteString(w, page(5000).content)
		})
		seen := get(t, addr, "br", nil).Header.Get("Etag")
		require.Equal(t, `"v1-br"`, seen)
		req, err := http.NewRequest("PUT", addr, strings.NewReader("new"))
		require.NoError(t, err)
		req.Header.Set("If-Match", seen)
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode, `If-Match: "v1-br", of a page whose ETag is "v1": it is the same state`)
	})

	t.Run("passes_on_trailers", func(t *testing.T) {
		for _, size := range []int{50, 5000} {
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Trailer", "Sum")
				_, _ = io.WriteString(w, page(size).content)
				w.Header().Set("Sum", "42")
			})
			resp := get(t, addr, "gzip", nil)
			if size == 5000 {
				require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"), "%d bytes of HTML, and a trailer", size)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			require.Equal(t, "42", resp.Trailer.Get("Sum"), "%d bytes of HTML, and then the trailer Sum: 42", size)
			require.Empty(t, resp.Header.Get("Sum"), "%d bytes of HTML, and a field that was set after them: it is a trailer, and not for the header", size)
		}
	})

	t.Run("passes_on_early_hints", func(t *testing.T) {
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</app.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, page(5000).content)
		})
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(addr, "http://"), time.Second)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(4*time.Second)))
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		all, err := io.ReadAll(conn)
		require.NoError(t, err)
		hints, page, _ := strings.Cut(string(all), "\r\n\r\n")
		require.True(t, strings.HasPrefix(hints, "HTTP/1.1 103 "), "a handler sent 103 Early Hints, and then its answer. First came: %s", hints)
		require.Contains(t, page, "Content-Encoding: gzip\r\n", "the answer behind the 103")
	})

	t.Run("hands_over_the_connection", func(t *testing.T) {
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, page(5000).content)
				return
			}
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "kitchen")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, _, err := http.NewResponseController(w).Hijack()
			if assert.NoError(t, err) {
				_, _ = io.WriteString(conn, "hello\n")
				_ = conn.Close()
			}
		})
		require.Equal(t, "gzip", get(t, addr, "gzip", nil).Header.Get("Content-Encoding"), "a page")
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(addr, "http://"), time.Second)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(4*time.Second)))
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\nAccept-Encoding: gzip\r\nConnection: Upgrade\r\nUpgrade: kitchen\r\n\r\n")
		require.NoError(t, err)
		all, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(all), "HTTP/1.1 101 "), "the handler switched protocols: %q", all)
		require.True(t, strings.HasSuffix(string(all), "\r\n\r\nhello\n"), "what the handler wrote on the hijacked connection must arrive as it is: %q", all)
	})

	t.Run("keeps_many_apart", func(t *testing.T) {
		addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for range 300 {
				_, _ = io.WriteString(w, r.URL.RawQuery+" ")
			}
		})
		var all sync.WaitGroup
		var mu sync.Mutex
		faults := map[string]string{}
		for i := range 40 {
			all.Go(func() {
				name := []string{"gzip", "br", "zstd"}[i%3]
				want := strings.Repeat(fmt.Sprintf("table-%d ", i), 300)
				var got string
				resp, err := client.Do(request("GET", name).to(addr + fmt.Sprintf("/?table-%d", i)))
				if err == nil {
					var raw []byte
					raw, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if err == nil && resp.Header.Get("Content-Encoding") != name {
						err = fmt.Errorf("Content-Encoding is %q", resp.Header.Get("Content-Encoding"))
					}
					if err == nil {
						got, err = decode(raw, name)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					faults[name] = err.Error()
				} else if got != want {
					faults[name] = fmt.Sprintf("table %d got %.30q…, %d bytes", i, got, len(got))
				}
			})
		}
		all.Wait()
		require.Empty(t, faults, "40 clients at once: each must get its own content, compressed")
	})
}

// It is about what is given.
//
//workshop:guard TestNew/...
func TestNew(t *testing.T) {
	t.Run("names_all_that_is_wrong", func(t *testing.T) {
		_, err := compress.New(http.NotFoundHandler(), compress.Config{MinSize: -1, Types: []string{"text", "text/css"}, Codings: []string{"gzip", "deflate"}})
		require.ErrorContains(t, err, "-1")
		require.ErrorContains(t, err, `"text"`)
		require.ErrorContains(t, err, `"deflate"`)
		require.NotContains(t, err.Error(), "text/css\" is none")
	})
}

func BenchmarkHandler(b *testing.B) {
	for _, row := range []struct{ name, accept, contentType string }{
		{"as it is", "gzip", "image/jpeg"}, {"gzip", "gzip", "application/json"}, {"br", "br", "application/json"}, {"zstd", "zstd", "application/json"},
	} {
		b.Run(row.name, func(b *testing.B) {
			content := []byte(page(8 << 10).content)
			h, err := compress.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", row.contentType)
				w.Header().Set("Content-Length", "8192")
				_, _ = w.Write(content)
			}), compress.Config{})
			if err != nil {
				b.Fatal(err)
			}
			r := request("GET", row.accept).Request
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// reply is what a handler answers.
type reply struct {
	status  int // 0: it does not say
	header  http.Header
	content string
	piece   int // bytes a Write; 0: all
}

// page is HTML of this size.
func page(size int) reply {
	var b strings.Builder
	b.WriteString("<!doctype html><title>Menu</title>")
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "<p>Dish %d: %x</p>\n", i, uint32(i)*2654435761)
	}
	return reply{header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, content: b.String()[:size]}
}

func (p reply) with(status int) reply { p.status = status; return p }

func (p reply) inWritesOf(n int) reply { p.piece = n; return p }

func (p reply) sized() reply { return p.field("Content-Length", strconv.Itoa(len(p.content))) }

// field sets one, or takes it away if the value is empty.
func (p reply) field(name, value string) reply {
	p.header = p.header.Clone()
	p.header.Set(name, value)
	if value == "" {
		p.header.Del(name)
	}
	return p
}

func (p reply) answer(w http.ResponseWriter, _ *http.Request) {
	maps.Copy(w.Header(), p.header.Clone())
	if p.status != 0 {
		w.WriteHeader(p.status)
	}
	if p.piece == 0 {
		p.piece = len(p.content)
	}
	for piece := range slices.Chunk([]byte(p.content), max(1, p.piece)) {
		_, _ = w.Write(piece)
	}
}

// answer is what came of it.
type answer struct {
	content string // as the handler wrote it
	accept  string

	status int
	header http.Header
	raw    []byte // as it was sent
}

// ask is one request with this Accept-Encoding, none if it is empty, to a
// handler that answers p.
func ask(t *testing.T, accept string, p reply) *answer {
	t.Helper()
	a := &answer{content: p.content, accept: accept}
	a.from(t, newHandler(t, http.HandlerFunc(p.answer)), request("GET", accept))
	return a
}

func newHandler(t *testing.T, next http.Handler) http.Handler {
	t.Helper()
	h, err := compress.New(next, compress.Config{MinSize: minSize})
	require.NoError(t, err)
	return h
}

func (a *answer) from(t *testing.T, h http.Handler, r asking) {
	t.Helper()
	a.into(t, httptest.NewRecorder(), h, r)
}

// stuck is set when a handler has not returned, so that the others need not be
// waited for.
var stuck atomic.Bool

// into waits for h's answer to r, which goes through rec.
func (a *answer) into(t *testing.T, rec *httptest.ResponseRecorder, h http.Handler, r asking) {
	t.Helper()
	a.accept = r.Header.Get("Accept-Encoding")
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		if r.Method == "HEAD" {
			h.ServeHTTP(headOnly{rec}, r.Request)
		} else {
			h.ServeHTTP(rec, r.Request)
		}
	}()
	require.False(t, stuck.Load(), "not tried: an earlier handler has not returned")
	for i := 0; ; i++ { // two seconds of this program: the time that a busy machine stands still does not count
		select {
		case p := <-done:
			require.Nil(t, p, "Write, FlushError, or what they called panicked")
		case <-time.After(10 * time.Millisecond):
			if i == 200 {
				stuck.Store(true)
				require.Fail(t, "the handler has not returned after 2 seconds", "Do Write and FlushError each come to an end? Neither may call itself.")
			}
			continue
		}
		break
	}
	resp := rec.Result()
	a.status, a.header, a.raw = resp.StatusCode, resp.Header, rec.Body.Bytes()
}

// counting is the ResponseWriter of some middleware.
type counting struct{ w http.ResponseWriter }

func (c counting) Header() http.Header         { return c.w.Header() }
func (c counting) WriteHeader(status int)      { c.w.WriteHeader(status) }
func (c counting) Write(p []byte) (int, error) { return c.w.Write(p) }
func (c counting) Unwrap() http.ResponseWriter { return c.w }

var errGone = errors.New("the client has left")

// gone is the ResponseWriter of a client that has left.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, errGone }
func (gone) Flush()                    {}

// headOnly sends no content, as a server does that was asked by HEAD.
type headOnly struct{ *httptest.ResponseRecorder }

func (h headOnly) Write(p []byte) (int, error) {
	_, _ = h.ResponseRecorder.Write(nil)
	return len(p), nil
}

// aborting does what net/http does about http.ErrAbortHandler.
func aborting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// compressed requires that the answer is in this coding, once, and whole.
func (a *answer) compressed(t *testing.T, name, rule string) {
	t.Helper()
	if got := a.header["Content-Encoding"]; !slices.Equal(got, []string{name}) {
		require.Fail(t, "the answer should be compressed, by "+name, "it was asked for with Accept-Encoding: %s\nwanted   Content-Encoding: %s\ngot      %s\n%s", a.accept, name, codings(got), rule)
	}
	got, err := decode(a.raw, name)
	require.NoError(t, err, "Content-Encoding is %s, and this is what decoding the %d bytes of content came to. %s", name, len(a.raw), rule)
	if got != a.content {
		require.Fail(t, "the content is another one", "wanted %d bytes: %s\ngot %d bytes: %s\n%s", len(a.content), around(a.content, got), len(got), around(got, a.content), rule)
	}
}

// asItWas requires that the answer is not in any coding.
func (a *answer) asItWas(t *testing.T, rule string) {
	t.Helper()
	if got := a.header["Content-Encoding"]; got != nil {
		require.Fail(t, "the answer should not be compressed", "it was asked for with Accept-Encoding: %s\nwanted   no Content-Encoding\ngot      %s\n%s", cmp.Or(a.accept, "(no such field)"), codings(got), rule)
	}
	if string(a.raw) != a.content {
		require.Fail(t, "the content is another one", "wanted %d bytes: %s\ngot %d bytes: %s\n%s", len(a.content), around(a.content, string(a.raw)), len(a.raw), around(string(a.raw), a.content), rule)
	}
}

// codings tells of the lines of Content-Encoding.
func codings(lines []string) string {
	if lines == nil {
		return "no Content-Encoding"
	}
	return "Content-Encoding: " + strings.Join(lines, ", ")
}

// around shows where s begins to differ from other.
func around(s, other string) string {
	at := 0
	for at < len(s) && at < len(other) && s[at] == other[at] {
		at++
	}
	return fmt.Sprintf("…%q… from byte %d on", s[max(0, at-10):min(len(s), at+20)], at)
}

// decode is what raw holds.
func decode(raw []byte, name string) (string, error) {
	r, err := reader(raw, name)
	if err != nil {
		return "", err
	}
	got, err := io.ReadAll(r)
	return string(got), err
}

// soFar is as much of what raw holds as can be told, though its end is missing.
func soFar(raw []byte, name string) string {
	r, err := reader(raw, name)
	if err != nil {
		return "(nothing that can be decoded: " + err.Error() + ")"
	}
	got, _ := io.ReadAll(r)
	return string(got)
}

func reader(raw []byte, name string) (io.Reader, error) {
	switch name {
	case "gzip":
		return gzip.NewReader(bytes.NewReader(raw))
	case "br":
		return brotli.NewReader(bytes.NewReader(raw)), nil
	default:
		r, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		return r.IOReadCloser(), nil
	}
}

// asking is a request.
type asking struct{ *http.Request }

func request(method, accept string) asking {
	r := httptest.NewRequest(method, "http://shop.test/", nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	return asking{r}
}

// to is the request as a client sends it, to another address.
func (a asking) to(url string) *http.Request {
	r, err := http.NewRequest(a.Method, url, nil)
	if err != nil {
		panic(err)
	}
	r.Header = a.Header.Clone()
	return r
}

// client leaves Accept-Encoding and what comes of it alone.
var client = &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, Timeout: 4 * time.Second}

// serve is the address of a server with this handler behind New.
func serve(t *testing.T, next http.HandlerFunc) string {
	t.Helper()
	require.False(t, stuck.Load(), "not tried: an earlier handler has not returned")
	server := httptest.NewServer(newHandler(t, next))
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			server.CloseClientConnections()
			server.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(time.Second): // a handler hangs; its test has failed
		}
	})
	return server.URL
}

func get(t *testing.T, url, accept string, header http.Header) *http.Response {
	t.Helper()
	r := request("GET", accept)
	maps.Copy(r.Header, header)
	resp, err := client.Do(r.to(url))
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}
