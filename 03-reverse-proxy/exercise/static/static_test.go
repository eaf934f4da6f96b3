package static_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/exercise/static"
)

// With secondEdge in its environment this program is another edge: it says which
// ETag its page has, and ends.
const secondEdge = "STATIC_TEST_SECOND_EDGE"

func TestMain(m *testing.M) {
	if os.Getenv(secondEdge) == "" {
		os.Exit(m.Run())
	}
	files, err := static.New(small().fs())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	rec := httptest.NewRecorder()
	files.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	fmt.Print(rec.Result().Header.Get("Etag"))
}

// What a file is called.
func TestName(t *testing.T) {
	t.Run("has_a_fingerprint", func(t *testing.T) {
		s := usual(t)
		require.Regexp(t, `^/assets/app\.[0-9a-f]{8}\.css$`, s.Path("app.css"), "Path of app.css: /assets/app, the first 8 hexadecimal digits of the content's SHA-256, and .css")
	})

	t.Run("changes_with_the_content", func(t *testing.T) {
		s, changed := open(t, small()), open(t, small().put("app.css", "i{}"))
		require.NotEqual(t, s.Path("app.css"), changed.Path("app.css"), "Path of app.css, before and after its content changed: it must be another one, for what is kept for a year under the old name can never be replaced")
	})

	t.Run("keeps_its_folder_and_its_extension", func(t *testing.T) {
		s := open(t, folder{}.put("v1.2/logo.min.svg", "<svg/>").put("v1.2/LICENSE", "<svg/>").put("a.css/press.css", "<svg/>"))
		print := fingerprint("<svg/>")
		require.Equal(t, "/assets/v1.2/logo.min."+print+".svg", s.Path("v1.2/logo.min.svg"), "Path of v1.2/logo.min.svg: what is behind the last dot of the last part is the extension (path.Ext)")
		require.Equal(t, "/assets/v1.2/LICENSE."+print, s.Path("v1.2/LICENSE"), "Path of v1.2/LICENSE: it has no extension, for the dot is in the folder's name (path.Ext)")
		require.Equal(t, "/assets/a.css/press."+print+".css", s.Path("a.css/press.css"), "Path of a.css/press.css: only the extension at the end is taken off, once (strings.TrimSuffix). TrimRight would take any of its characters, and with them the ss of press")
	})

	t.Run("is_the_same_on_every_edge", func(t *testing.T) {
		s := open(t, small())
		require.Equal(t, "/assets/app."+fingerprint("b{}")+".css", s.Path("app.css"), "Path of app.css: its fingerprint comes from the content alone, or the page from one edge names a file that the next one does not know")
		require.Equal(t, s.Path("app.css"), open(t, small().changed(time.Hour)).Path("app.css"), "Path of app.css, where the file was written an hour later")
	})

	t.Run("is_in_the_page", func(t *testing.T) {
		s := usual(t)
		require.Contains(t, s.get(t, "/", nil).content, `href="/assets/app.`+fingerprint(style)+`.css"`, `the page says {{asset "app.css"}}`)
	})

	t.Run("is_gone_when_the_content_is", func(t *testing.T) {
		old, s := open(t, small().put("app.css", "i{}")), open(t, small())
		a := s.get(t, s.Path("app.css"), nil)
		require.Equal(t, "b{}", a.content, "GET %s, the name of app.css as it is now", s.Path("app.css"))
		for _, path := range []string{old.Path("app.css"), "/assets/app.css"} {
			a := s.get(t, path, nil)
			require.Equal(t, http.StatusNotFound, a.status, "GET %s, while app.css is %s: what is new must not be had under any other name, or somebody keeps it there for a year", path, s.Path("app.css"))
			require.NotContains(t, a.header.Get("Cache-Control"), "immutable", "GET %s: tomorrow it may be there", path)
		}
	})
}

// How long it may be kept.
func TestCaching(t *testing.T) {
	t.Run("keeps_what_has_a_fingerprint_for_a_year", func(t *testing.T) {
		s := usual(t)
		for _, name := range []string{"app.css", "bowl.png"} {
			a := s.get(t, s.Path(name), nil)
			require.Equal(t, string(site()[name].Data), a.content, "GET %s", s.Path(name))
			d := directives(a)
			require.True(t, d["public"] && d["max-age=31536000"] && d["immutable"], "GET %s: Cache-Control is %q, and wanted is \"public, max-age=31536000, immutable\". Under this name there will never be anything else (RFC 8246)", s.Path(name), a.header.Get("Cache-Control"))
		}
	})

	t.Run("asks_for_the_page_each_time", func(t *testing.T) {
		s := usual(t)
		a := s.get(t, "/", nil)
		require.Contains(t, a.content, "Menu", "GET /")
		d := directives(a)
		require.False(t, d["immutable"], "GET /: Cache-Control is %q. The page has the same name tomorrow, with other content: who keeps it for a year never hears of anything new", a.header.Get("Cache-Control"))
		require.False(t, d["no-store"] || d["private"], "GET /: Cache-Control is %q, and wanted is no-cache and no more. The page is the same for all, and may be kept by all: with no-store nobody has it when he asks again, and each visit costs the whole page in place of a 304 (RFC 9111 §5.2.2.5, §5.2.2.7)", a.header.Get("Cache-Control"))
		require.True(t, d["no-cache"], "GET /: Cache-Control is %q, and wanted is no-cache: keep it, and ask each time (RFC 9111 §5.2.2.4)", a.header.Get("Cache-Control"))
	})
}

// In which coding it is sent.
func TestVariant(t *testing.T) {
	t.Run("as_it_is_for_who_can_decode_nothing", func(t *testing.T) {
		s := usual(t)
		for _, accept := range []string{"", "identity", "deflate", "gzip;q=0", "*;q=0"} {
			a := s.get(t, s.Path("app.css"), accepts(accept))
			require.Empty(t, a.header.Get("Content-Encoding"), "Accept-Encoding: %s, and the Content-Encoding of app.css", accept)
			require.Equal(t, style, a.content, "Accept-Encoding: %s, and the content of app.css", accept)
		}
	})

	t.Run("compressed_for_who_can", func(t *testing.T) {
		s := usual(t)
		for _, name := range []string{"gzip", "br", "zstd"} {
			a := s.get(t, s.Path("app.css"), accepts(name))
			require.Equal(t, name, a.header.Get("Content-Encoding"), "Accept-Encoding: %s, and the Content-Encoding of app.css, of which there are variants in all three", name)
			got, err := decode([]byte(a.content), name)
			require.NoError(t, err, "Content-Encoding: %s. Is that content in another coding?", name)
			require.Equal(t, style, got, "app.css, decoded from %s", name)
			require.Equal(t, name, s.get(t, "/", accepts(name)).header.Get("Content-Encoding"), "Accept-Encoding: %s, and the Content-Encoding of the page, of which there are variants in all three", name)
		}
		a := s.get(t, s.Path("app.css"), http.Header{"Accept-Encoding": {"gzip;q=0.5", "br"}})
		require.Equal(t, "br", a.header.Get("Content-Encoding"), "Accept-Encoding: gzip;q=0.5 and, on a second line, br: a list may stand on several lines (RFC 9110 §5.3), and r.Header.Get returns the first one alone")
	})

	t.Run("the_shortest_of_what_the_client_likes_best", func(t *testing.T) {
		s := usual(t)
		shortest := ""
		least := len(style)
		for _, name := range []string{"gzip", "br", "zstd"} {
			if n := len(s.get(t, s.Path("app.css"), accepts(name)).content); n < least {
				shortest, least = name, n
			}
		}
		require.NotEmpty(t, shortest, "app.css is %d bytes, and in no coding it is less", len(style))
		require.Equal(t, shortest, s.get(t, s.Path("app.css"), accepts("gzip, br, zstd")).header.Get("Content-Encoding"), "Accept-Encoding: gzip, br, zstd. All are liked as much, so the server's order counts, which is that of f.variants")
		require.Equal(t, "gzip", s.get(t, s.Path("app.css"), accepts("gzip, br;q=0.9, zstd;q=0.9")).header.Get("Content-Encoding"), "Accept-Encoding: gzip, br;q=0.9, zstd;q=0.9. The client likes gzip best")
	})

	t.Run("named_in_vary_by_each_of_them", func(t *testing.T) {
		s := usual(t)
		for _, path := range []string{s.Path("app.css"), "/"} {
			for _, accept := range []string{"gzip", "br", ""} {
				a := s.get(t, path, accepts(accept))
				require.Equal(t, "accept-encoding", strings.ToLower(strings.Join(a.header["Vary"], " | ")), "Vary of %s, to a client with Accept-Encoding: %s. There are variants, so a cache must not give this one to everybody (RFC 9110 §12.5.5); that holds for the one without a coding, too", path, accept)
			}
		}
	})

	t.Run("as_it_is_where_nothing_is_gained", func(t *testing.T) {
		s := usual(t)
		require.Equal(t, "gzip", s.get(t, s.Path("app.css"), accepts("gzip")).header.Get("Content-Encoding"), "app.css gets shorter")
		for _, name := range []string{"noise.txt", "bowl.png"} {
			a := s.get(t, s.Path(name), accepts("gzip"))
			require.Equal(t, string(site()[name].Data), a.content, "%s is random: it has only the variant as it is", name)
			require.Empty(t, a.header.Get("Content-Encoding"), "%s is random: it has only the variant as it is", name)
			require.Empty(t, a.header["Vary"], "%s has only one variant: all get the same, and a cache need keep it only once", name)
		}
	})
}

// By what a copy is recognised.
func TestTag(t *testing.T) {
	t.Run("is_strong", func(t *testing.T) {
		s := usual(t)
		for _, path := range []string{"/", s.Path("app.css")} {
			tag := s.get(t, path, nil).header.Get("Etag")
			require.Regexp(t, `^"[!#-~]+"$`, tag, "ETag of %s: a tag in double quotes (RFC 9110 §8.8.3), without W/, for it stands for these very bytes", path)
			require.LessOrEqual(t, len(tag), 202, "ETag of %s, in octets: a tag goes with each answer and each question, so it is a hash of the content, and not the content. (Sum of package hash appends the hash to what it is given; sha256.Sum256 computes it)", path)
		}
	})

	t.Run("changes_with_the_content", func(t *testing.T) {
		one, other := small().put("index.html", "<p>soup"), small().put("index.html", "<p>fish")
		require.NotEqual(t, open(t, one).get(t, "/", nil).header.Get("Etag"), open(t, other).get(t, "/", nil).header.Get("Etag"), "ETag of a page that said soup, and now says fish, which is as long: a tag that stays the same makes browsers keep the old page")
		long := strings.Repeat("<p>bread and butter", 300)
		one, other = small().put("index.html", long+"<p>soup"+long), small().put("index.html", long+"<p>fish"+long)
		require.NotEqual(t, open(t, one).get(t, "/", nil).header.Get("Etag"), open(t, other).get(t, "/", nil).header.Get("Etag"), "ETag of a long page that said soup in its middle, and now says fish: all bytes count, and not the first or the last ones alone")
	})

	t.Run("is_the_same_on_every_edge", func(t *testing.T) {
		one, other := open(t, small()).get(t, "/", nil), open(t, small().changed(time.Hour)).get(t, "/", nil)
		require.NotEmpty(t, one.header.Get("Etag"), "ETag of the page")
		require.Equal(t, one.header.Get("Etag"), other.header.Get("Etag"), "ETag of the same page on two edges, where the file was written an hour later on one: whoever comes to the other edge would fetch everything again. The tag comes from the content alone")
		program, err := os.Executable()
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		edge := exec.CommandContext(ctx, program)
		edge.Env = append(os.Environ(), secondEdge+"=yes")
		tag, err := edge.Output()
		require.NoError(t, err, "this program, started once more as another edge: %s", tag)
		require.Equal(t, one.header.Get("Etag"), string(tag), "ETag of the same page on an edge that is another process: whatever a program draws or notes when it starts, such as the seed of hash/maphash or the time, is another one there. The tag comes from the content alone")
	})

	t.Run("is_another_one_for_each_coding", func(t *testing.T) {
		s := usual(t)
		seen := map[string]string{}
		for _, accept := range []string{"", "gzip", "br", "zstd"} {
			tag := s.get(t, s.Path("app.css"), accepts(accept)).header.Get("Etag")
			require.NotContains(t, seen, tag, "ETag of app.css to Accept-Encoding: %q, which is that to %q: these are other bytes, and a strong tag stands for bytes (RFC 9110 §8.8.3.3)", accept, seen[tag])
			seen[tag] = accept
		}
	})

	t.Run("saves_the_way_when_nothing_has_changed", func(t *testing.T) {
		s := usual(t)
		for _, path := range []string{"/", s.Path("app.css")} {
			first := s.get(t, path, accepts("gzip"))
			ask := accepts("gzip")
			ask.Set("If-None-Match", `"other", `+first.header.Get("Etag"))
			a := s.get(t, path, ask)
			require.Equal(t, http.StatusNotModified, a.status, "GET %s with If-None-Match: %s, and its ETag is %s: the client has it (RFC 9110 §13.1.2)", path, ask.Get("If-None-Match"), first.header.Get("Etag"))
			require.Empty(t, a.content, "a 304 has no content")
			for _, field := range []string{"Etag", "Cache-Control", "Vary"} {
				require.Equal(t, first.header.Get(field), a.header.Get(field), "%s of the 304: as in the 200 that it stands for (RFC 9110 §15.4.5)", field)
			}
		}
	})

	t.Run("shows_that_a_page_has_changed", func(t *testing.T) {
		had := open(t, small().put("app.css", "i{}")).get(t, "/", nil)
		a := open(t, small()).get(t, "/", http.Header{"If-None-Match": {had.header.Get("Etag")}})
		require.Equal(t, http.StatusOK, a.status, "app.css has changed, so the page, which names it, has changed, too")
		require.Contains(t, a.content, "/assets/app."+fingerprint("b{}")+".css", "the page names app.css by its new fingerprint")
	})
}

// What else a request may ask for: it comes from send, if the header is right.
func TestRequest(t *testing.T) {
	t.Run("for_a_part", func(t *testing.T) {
		s := usual(t)
		a := s.get(t, s.Path("app.css"), http.Header{"Range": {"bytes=10-19"}})
		require.Equal(t, http.StatusPartialContent, a.status, "Range: bytes=10-19")
		require.Equal(t, style[10:20], a.content, "Range: bytes=10-19")
	})

	t.Run("for_several_parts", func(t *testing.T) {
		s := usual(t)
		a := s.get(t, s.Path("app.css"), http.Header{"Range": {"bytes=0-4, -5"}})
		require.Equal(t, http.StatusPartialContent, a.status, "Range: bytes=0-4, -5")
		_, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
		require.NoError(t, err)
		parts := multipart.NewReader(strings.NewReader(a.content), params["boundary"])
		for _, want := range []string{style[:5], style[len(style)-5:]} {
			part, err := parts.NextPart()
			require.NoError(t, err)
			got, err := io.ReadAll(part)
			require.NoError(t, err)
			require.Equal(t, want, string(got), "Range: bytes=0-4, -5")
		}
	})

	t.Run("for_the_rest_of_what_broke_off", func(t *testing.T) {
		s := usual(t)
		half, whole := s.get(t, s.Path("app.css"), accepts("gzip")), s.get(t, s.Path("app.css"), nil)
		ask := http.Header{"Accept-Encoding": {"gzip"}, "Range": {"bytes=20-"}, "If-Range": {half.header.Get("Etag")}}
		a := s.get(t, s.Path("app.css"), ask)
		require.Equal(t, http.StatusPartialContent, a.status, "the client has 20 bytes of the gzip variant, and wants the rest: If-Range names the very tag (RFC 9110 §13.1.5)")
		require.Equal(t, half.content[20:], a.content, "what is behind byte 20 of the gzip variant")
		require.Contains(t, []int{0, len(a.content)}, atoi(a.header.Get("Content-Length")), "Content-Length of a 206 with %d bytes: it is send that knows how much goes, so it sets the length, where there is one to set", len(a.content))
		ask.Del("Accept-Encoding")
		a = s.get(t, s.Path("app.css"), ask)
		require.Equal(t, http.StatusOK, a.status, "the client has 20 bytes of the gzip variant, and can decode gzip no more: the rest of other bytes is of no use, so it gets all")
		require.Equal(t, whole.content, a.content)
	})

	t.Run("for_the_header_alone", func(t *testing.T) {
		s := usual(t)
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		for _, accept := range []string{"", "gzip"} {
			answers := map[string]*answer{}
			for _, method := range []string{"GET", "HEAD"} {
				req, err := http.NewRequest(method, server.URL+s.Path("app.css"), nil)
				require.NoError(t, err)
				req.Header = accepts(accept)
				resp, err := client.Do(req)
				require.NoError(t, err)
				content, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				require.NoError(t, err)
				resp.Header.Del("Date")
				answers[method] = &answer{resp.StatusCode, resp.Header, string(content)}
			}
			require.NotEmpty(t, answers["GET"].content, "GET")
			require.Empty(t, answers["HEAD"].content, "HEAD")
			require.Equal(t, answers["GET"].header, answers["HEAD"].header, "HEAD says what GET would say (RFC 9110 §9.3.2)")
			require.Equal(t, len(answers["GET"].content), atoi(answers["GET"].header.Get("Content-Length")), "the length is known, in every coding")
		}
	})

	t.Run("on_a_condition_that_does_not_hold", func(t *testing.T) {
		s := usual(t)
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		require.Equal(t, style, s.get(t, s.Path("app.css"), nil).content)
		req, err := http.NewRequest("GET", server.URL+s.Path("app.css"), nil)
		require.NoError(t, err)
		req.Header = http.Header{"If-Match": {`"another"`}, "Accept-Encoding": {"gzip"}}
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err, `If-Match: "another", and the answer has Content-Length: %d. A 412 has no content: the length is for send to set`, resp.ContentLength)
		require.Equal(t, http.StatusPreconditionFailed, resp.StatusCode, `If-Match: "another"`)
	})

	t.Run("for_what_is_not_there", func(t *testing.T) {
		s := usual(t)
		require.Equal(t, style, s.get(t, s.Path("app.css"), nil).content, "app.css is there")
		for _, path := range []string{"/nothing", "/assets/", "/index.html", "/assets/../index.html", "/../static.go", "/..\\static.go", "/assets/.env", "/.env", "//", ""} {
			a := s.get(t, path, nil)
			require.Equal(t, http.StatusNotFound, a.status, "GET %q", path)
			require.NotContains(t, a.content, "secret", "GET %q", path)
		}
		require.Empty(t, s.Path(".env"), "a name that begins with a dot")
		require.Empty(t, s.Path("nothing"), "a file that is not there")
	})

	t.Run("by_another_method", func(t *testing.T) {
		s := usual(t)
		require.Equal(t, style, s.get(t, s.Path("app.css"), nil).content, "by GET")
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest("POST", s.Path("app.css"), nil))
		require.Equal(t, http.StatusMethodNotAllowed, rec.Code, "POST")
		require.Equal(t, "GET, HEAD", rec.Result().Header.Get("Allow"), "a 405 says which methods there are (RFC 9110 §15.5.6)")
	})

	t.Run("and_gets_a_type_that_is_not_guessed", func(t *testing.T) {
		s := usual(t)
		for name, want := range map[string]string{"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "bowl.png": "image/png"} {
			a := s.get(t, s.Path(name), nil)
			require.Equal(t, string(site()[name].Data), a.content, name)
			require.Equal(t, want, a.header.Get("Content-Type"), name)
			require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), name)
		}
		require.Equal(t, "text/html; charset=utf-8", s.get(t, "/about/", nil).header.Get("Content-Type"))
	})
}

// It is about what is given.
//
//workshop:guard TestNew/...
func TestNew(t *testing.T) {
	t.Run("names_the_page_that_is_wrong", func(t *testing.T) {
		_, err := static.New(small().put("index.html", `{{asset "gone.css"}}`).fs())
		require.ErrorContains(t, err, "index.html")
		require.ErrorContains(t, err, `"gone.css"`)
		_, err = static.New(small().put("about/index.html", `{{`).fs())
		require.ErrorContains(t, err, "about/index.html")
	})
}

func BenchmarkFiles(b *testing.B) {
	s, err := static.New(site().fs())
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", s.Path("app.css"), nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		s.ServeHTTP(w, r)
	}
}

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header                 { return d.header }
func (d *discard) WriteHeader(int)                     {}
func (d *discard) Write(p []byte) (int, error)         { return len(p), nil }
func (d *discard) ReadFrom(r io.Reader) (int64, error) { return r.(*io.LimitedReader).N, nil }

var style = strings.Repeat("body { margin: 0; color: #123 }\n", 30)

// folder is a folder of files.
type folder map[string]*fstest.MapFile

// site is a small one.
func site() folder {
	noise := make([]byte, 300)
	draw := rand.NewChaCha8([32]byte{})
	_, _ = draw.Read(noise)
	return folder{
		"index.html":       {Data: []byte(`<!doctype html><title>Menu</title><link rel="stylesheet" href="{{asset "app.css"}}">` + strings.Repeat("<p>soup", 100))},
		"about/index.html": {Data: []byte("<p>about us")},
		"app.css":          {Data: []byte(style)},
		"app.js":           {Data: []byte("alert('soup')")},
		"bowl.png":         {Data: noise},
		"noise.txt":        {Data: noise},
		".env":             {Data: []byte("secret")},
	}
}

// small is a smaller one.
func small() folder {
	return folder{}.put("index.html", `<title>Menu</title>{{asset "app.css"}}`).put("app.css", "b{}")
}

func (f folder) put(name, content string) folder {
	f[name] = &fstest.MapFile{Data: []byte(content)}
	return f
}

// changed is the same, written that much later.
func (f folder) changed(later time.Duration) folder {
	for _, file := range f {
		file.ModTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(later)
	}
	return f
}

func (f folder) fs() fs.FS { return fstest.MapFS(f) }

// opened is a site that is served.
type opened struct{ *static.Files }

func open(t *testing.T, f folder) opened {
	t.Helper()
	files, err := static.New(f.fs())
	require.NoError(t, err)
	return opened{files}
}

// made is the site as it is. The handler keeps nothing of a request.
var made = sync.OnceValues(func() (*static.Files, error) { return static.New(site().fs()) })

func usual(t *testing.T) opened {
	t.Helper()
	files, err := made()
	require.NoError(t, err)
	return opened{files}
}

type answer struct {
	status  int
	header  http.Header
	content string
}

// get is what path is answered with, which may be any string.
func (o opened) get(t *testing.T, path string, header http.Header) *answer {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.URL.Path = path
	maps.Copy(r.Header, header)
	rec := httptest.NewRecorder()
	require.NotPanics(t, func() { o.ServeHTTP(rec, r) }, "GET %s", path)
	return &answer{rec.Code, rec.Result().Header, rec.Body.String()}
}

func accepts(coding string) http.Header {
	if coding == "" {
		return http.Header{}
	}
	return http.Header{"Accept-Encoding": {coding}}
}

// directives are those of Cache-Control.
func directives(a *answer) map[string]bool {
	d := map[string]bool{}
	for line := range strings.SplitSeq(a.header.Get("Cache-Control"), ",") {
		d[strings.ToLower(strings.TrimSpace(line))] = true
	}
	return d
}

func fingerprint(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:4])
}

func decode(raw []byte, name string) (string, error) {
	var r io.Reader
	var err error
	switch name {
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(raw))
	case "br":
		r = brotli.NewReader(bytes.NewReader(raw))
	default:
		r, err = zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	}
	if err != nil {
		return "", err
	}
	got, err := io.ReadAll(r)
	return string(got), err
}

// client leaves Accept-Encoding alone.
var client = &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, Timeout: 2 * time.Second}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}
