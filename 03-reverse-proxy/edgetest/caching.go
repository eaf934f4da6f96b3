package edgetest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted is an answer that says how often its page has been asked for.
func counted(s *site, fields ...string) *page {
	var p *page
	p = s.page(func(w http.ResponseWriter, _ *http.Request) {
		set(w.Header(), fields...)
		fmt.Fprint(w, "answer ", p.asked.Load())
	})
	return p
}

// kept sees that a second request for p is answered by what the first one got,
// or, if want is false, that it is not.
func kept(t testing.TB, p *page, want bool, why string, fields ...string) {
	t.Helper()
	first, second := p.get(t, fields...), p.get(t, fields...)
	require.Equal(t, "answer 1", first.body)
	if want {
		assert.Equal(t, "answer 1", second.body, why)
		assert.EqualValues(t, 1, p.asked.Load(), why)
	} else {
		assert.Equal(t, "answer 2", second.body, why)
	}
}

// keeps is the leaf that an answer with these fields is kept.
func keeps(name, why string, fields ...string) leaf {
	return leaf{name: name, page: func(t testing.TB, s *site) { kept(t, counted(s, fields...), true, why) }}
}

// keepsNot is the leaf that it is not. A cache that keeps nothing would pass:
// beside it, an answer that may be kept has to be.
func keepsNot(name, why string, fields ...string) leaf {
	return leaf{name: name, page: func(t testing.TB, s *site) {
		kept(t, counted(s, fresh), true, "nothing is proved by a cache that keeps nothing")
		kept(t, counted(s, fields...), false, why)
	}}
}

const fresh = "Cache-Control: max-age=60"

// caching is what a shared cache keeps, and whom it gives it to (RFC 9111).
var caching = []leaf{
	keeps("what_is_fresh_is_not_asked_for_again", "it may be used for 60 s (RFC 9111 §4.2)", fresh),
	keeps("directives_are_read_in_any_case", "RFC 9111 §5.2", "Cache-Control: MAX-AGE=60"),
	keeps("s-maxage_beats_max-age", "s-maxage is for shared caches (RFC 9111 §5.2.2.10)", "Cache-Control: max-age=0, s-maxage=60"),
	keepsNot("s-maxage_of_0_beats_max-age", "s-maxage is for shared caches (RFC 9111 §5.2.2.10)", "Cache-Control: max-age=60, s-maxage=0"),
	keeps("a_lifetime_too_long_to_count_is_long", "RFC 9111 §1.2.2", "Cache-Control: max-age=99999999999999999999"),
	keeps("Expires_makes_fresh", "RFC 9111 §5.3", "Expires: "+time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)),
	keepsNot("an_Expires_that_is_no_date_is_past", "RFC 9111 §5.3", "Expires: 0"),
	keeps("max-age_beats_Expires", "RFC 9111 §5.3", fresh, "Expires: 0"),
	keepsNot("no-store_is_not_kept", "RFC 9111 §5.2.2.5", "Cache-Control: no-store"),
	keepsNot("no-store_on_a_line_of_its_own_is_not_kept", "lines of a list are one list (RFC 9110 §5.3)", fresh, "Cache-Control: no-store"),
	keepsNot("private_is_not_kept", "it is for one client (RFC 9111 §5.2.2.7)", "Cache-Control: private, max-age=60"),
	keepsNot("no-cache_is_asked_for_each_time", "RFC 9111 §5.2.2.4", "Cache-Control: no-cache, max-age=60"),
	keepsNot("max-age_of_0_is_asked_for_each_time", "RFC 9111 §5.2.2.1", "Cache-Control: max-age=0"),
	keepsNot("Vary:_*_is_never_used_again", "no request matches it (RFC 9111 §4.1)", fresh, "Vary: *"),
	keepsNot("a_cookie_goes_to_one_client", "without s-maxage or public, it may be somebody's session", fresh, "Set-Cookie: session=ann"),
	{name: "404_is_kept_as_it_says", page: func(t testing.TB, s *site) {
		var p *page
		p = s.page(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "answer ", p.asked.Load())
		})
		kept(t, p, true, "a final status with max-age may be kept (RFC 9111 §3)")
	}},
	{name: "500_is_not_kept", page: func(t testing.TB, s *site) {
		var p *page
		p = s.page(func(w http.ResponseWriter, _ *http.Request) {
			if p.asked.Load() == 1 {
				w.WriteHeader(http.StatusInternalServerError)
			} else {
				w.Header().Set("Cache-Control", "max-age=60")
			}
			fmt.Fprint(w, "answer ", p.asked.Load())
		})
		kept(t, p, false, "nothing says that it may be kept (RFC 9111 §3)")
		assert.Equal(t, "answer 2", p.get(t).body, "and the next one may be")
	}},
	{name: "an_answer_to_POST_is_not_kept", page: func(t testing.TB, s *site) {
		p := counted(s, fresh)
		assert.Equal(t, "answer 1", p.do(t, http.MethodPost, nil).body)
		assert.Equal(t, "answer 2", p.do(t, http.MethodPost, nil).body)
		assert.Equal(t, "answer 3", p.get(t).body)
		assert.Equal(t, "answer 3", p.get(t).body)
	}},
	{name: "an_answer_to_Authorization_is_one_client's", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "orders of ", r.Header.Get("Authorization"))
		})
		assert.Equal(t, "orders of Bearer ann", p.get(t, "Authorization: Bearer ann").body)
		assert.Equal(t, "orders of Bearer bob", p.get(t, "Authorization: Bearer bob").body, "RFC 9111 §3.5")
		assert.Equal(t, "orders of ", p.get(t).body, "RFC 9111 §3.5")
		kept(t, counted(s, fresh), true, "nothing is proved by a cache that keeps nothing")
	}},
	{name: "a_public_answer_to_Authorization_is_everybody's", page: func(t testing.TB, s *site) {
		kept(t, counted(s, "Cache-Control: public, max-age=60"), true, "RFC 9111 §3.5", "Authorization: Bearer ann")
	}},
	{name: "hosts_are_kept_apart", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "here is ", r.Host)
		})
		for range 2 {
			assert.Equal(t, "here is shop.test", p.get(t).body)
			assert.Equal(t, "here is evil.test", p.get(t, "Host: evil.test").body)
		}
		assert.EqualValues(t, 2, p.asked.Load(), "each is kept")
	}},
	{name: "queries_are_kept_apart", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, "table ", r.URL.RawQuery)
		})
		for range 2 {
			for _, table := range []string{"5", "6"} {
				req := p.request(t, http.MethodGet, nil)
				req.URL.RawQuery = table
				resp, err := s.client.Do(req)
				require.NoError(t, err)
				assert.Equal(t, "table "+table, finish(resp).body)
			}
		}
		assert.EqualValues(t, 2, p.asked.Load(), "each is kept")
	}},
	{name: "languages_are_kept_apart_by_Vary", page: func(t testing.TB, s *site) {
		p := languages(s)
		assert.Equal(t, "in de", p.get(t, "Accept-Language: de").body)
		assert.Equal(t, "in fr", p.get(t, "Accept-Language: fr").body, "Vary says that the answer depends on it (RFC 9111 §4.1)")
		assert.Equal(t, "in ", p.get(t).body, "absent is a value, too")
		kept(t, counted(s, fresh), true, "nothing is proved by a cache that keeps nothing")
	}},
	{name: "the_same_language_is_kept_under_Vary", page: func(t testing.TB, s *site) {
		p := languages(s)
		for range 2 {
			assert.Equal(t, "in de", p.get(t, "Accept-Language: de").body)
			assert.Equal(t, "in fr", p.get(t, "Accept-Language: fr").body)
		}
		assert.EqualValues(t, 2, p.asked.Load(), "each is kept (RFC 9111 §4.1)")
	}},
	{name: "a_hit_has_an_age", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, "Age: 20")
		p.get(t)
		got := p.get(t)
		require.Equal(t, "answer 1", got.body)
		age, err := strconv.Atoi(got.Header.Get("Age"))
		require.NoError(t, err, "Age %q (RFC 9111 §5.1)", got.Header["Age"])
		assert.True(t, age >= 20 && age <= 30, "it was 20 s old when it came, and Age is %d", age)
	}},
	{name: "a_hit_has_an_age_where_the_origin_gave_none", page: func(t testing.TB, s *site) {
		p := counted(s, fresh)
		p.get(t)
		got := p.get(t)
		require.Equal(t, "answer 1", got.body)
		assert.NotEmpty(t, got.Header.Get("Age"), "a cache must say how old a stored answer is (RFC 9111 §4)")
	}},
	{name: "a_hit_has_the_whole_header", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, `ETag: "1"`, "X-Cook: Ann", "Link: </a>", "Link: </b>")
		p.get(t)
		got := p.get(t)
		require.Equal(t, "answer 1", got.body)
		assert.Equal(t, `"1" Ann </a>, </b>`, got.Header.Get("ETag")+" "+got.Header.Get("X-Cook")+" "+strings.Join(got.Header["Link"], ", "))
	}},
	{name: "HEAD_is_answered_by_a_stored_GET", page: func(t testing.TB, s *site) {
		p := counted(s, fresh)
		require.Equal(t, "answer 1", p.get(t).body)
		got := p.do(t, http.MethodHead, nil)
		assert.EqualValues(t, 1, p.asked.Load(), "RFC 9111 §4")
		assert.Equal(t, 200, got.StatusCode)
		assert.Equal(t, "8", got.Header.Get("Content-Length"), "what a GET would have had (RFC 9110 §9.3.2)")
	}},
	{name: "HEAD_leaves_no_empty_answer_behind", page: func(t testing.TB, s *site) {
		p := counted(s, fresh)
		p.do(t, http.MethodHead, nil)
		assert.Contains(t, p.get(t).body, "answer", "an answer to HEAD has no content to keep (RFC 9111 §4.3.5)")
		asked := p.asked.Load()
		p.get(t)
		assert.Equal(t, asked, p.asked.Load(), "and the GET's is kept")
	}},
	{name: "If-None-Match_gets_304_from_the_cache", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, `ETag: "1"`)
		p.get(t)
		got := p.get(t, `If-None-Match: "0", W/"1"`)
		assert.Equal(t, 304, got.StatusCode, "weak comparison, over a list (RFC 9110 §13.1.2)")
		assert.Equal(t, `"1"`, got.Header.Get("ETag"), "RFC 9110 §15.4.5")
		assert.EqualValues(t, 1, p.asked.Load(), "RFC 9111 §4.3.2")
	}},
	{name: "If-None-Match_of_another_gets_200_from_the_cache", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, `ETag: "1"`)
		p.get(t)
		got := p.get(t, `If-None-Match: "2"`)
		assert.Equal(t, "200 answer 1", fmt.Sprint(got.StatusCode, " ", got.body))
		assert.EqualValues(t, 1, p.asked.Load(), "RFC 9111 §4.3.2")
	}},
	{name: "If-Modified-Since_gets_304_from_the_cache", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, "Last-Modified: Mon, 05 Jan 2026 10:00:00 GMT")
		p.get(t)
		assert.Equal(t, 304, p.get(t, "If-Modified-Since: Mon, 05 Jan 2026 10:00:00 GMT").StatusCode)
		assert.Equal(t, "answer 1", p.get(t, "If-Modified-Since: Sun, 04 Jan 2026 10:00:00 GMT").body, "it has changed since then")
		assert.EqualValues(t, 1, p.asked.Load(), "RFC 9111 §4.3.2")
	}},
	{name: "a_range_comes_from_a_stored_whole", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, `ETag: "1"`, "Accept-Ranges: bytes")
		p.get(t)
		got := p.get(t, "Range: bytes=2-4")
		assert.Equal(t, "206 swe bytes 2-4/8", fmt.Sprint(got.StatusCode, " ", got.body, " ", got.Header.Get("Content-Range")), "RFC 9110 §15.3.7")
		got = p.get(t, "Range: bytes=-3")
		assert.Equal(t, "206 r 1 bytes 5-7/8", fmt.Sprint(got.StatusCode, " ", got.body, " ", got.Header.Get("Content-Range")))
		assert.EqualValues(t, 1, p.asked.Load(), "RFC 9111 §3.3, §4")
	}},
	{name: "a_range_behind_the_end_of_a_stored_whole_is_416", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, `ETag: "1"`, "Accept-Ranges: bytes")
		p.get(t)
		got := p.get(t, "Range: bytes=100-")
		assert.Equal(t, "416 bytes */8", fmt.Sprint(got.StatusCode, " ", got.Header.Get("Content-Range")), "RFC 9110 §15.5.17")
		assert.EqualValues(t, 1, p.asked.Load())
	}},
	{name: "a_range_of_another_version_gets_the_whole", page: func(t testing.TB, s *site) {
		p := counted(s, fresh, `ETag: "1"`, "Accept-Ranges: bytes")
		p.get(t)
		got := p.get(t, "Range: bytes=2-4", `If-Range: "0"`)
		assert.Equal(t, "200 answer 1", fmt.Sprint(got.StatusCode, " ", got.body), "halves of two versions make no whole (RFC 9110 §13.1.5)")
		assert.EqualValues(t, 1, p.asked.Load())
	}},
	{name: "a_part_is_not_kept_as_the_whole", page: func(t testing.TB, s *site) {
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("answer 1"))
		})
		assert.Contains(t, p.get(t, "Range: bytes=0-2").body, "ans")
		assert.Equal(t, "200 answer 1", func() string { a := p.get(t); return fmt.Sprint(a.StatusCode, " ", a.body) }(), "RFC 9111 §3.3")
		kept(t, counted(s, fresh), true, "nothing is proved by a cache that keeps nothing")
	}},
	{name: "an_answer_that_broke_off_is_not_kept", page: func(t testing.TB, s *site) {
		var p *page
		p = s.page(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", "8")
			if p.asked.Load() == 1 {
				_, _ = io.WriteString(w, "ans")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "answer 2") // however often
		})
		assert.Error(t, p.cut(t).err)
		eventually(t, func() bool {
			before := p.asked.Load()
			got := p.get(t)
			require.NoError(t, got.err)
			require.Equal(t, "answer 2", got.body, "half an answer is none (RFC 9111 §3.3)")
			return p.asked.Load() == before
		}, "the whole answer is kept")
	}},
	invalidates("POST"), invalidates("PUT"), invalidates("DELETE"),
	{name: "a_POST_that_fails_leaves_what_is_stored", page: func(t testing.TB, s *site) {
		var p *page
		p = s.page(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusUnprocessableEntity)
			}
			fmt.Fprint(w, "answer ", p.asked.Load())
		})
		p.get(t)
		require.Equal(t, 422, p.do(t, http.MethodPost, nil).StatusCode)
		assert.Equal(t, "answer 1", p.get(t).body, "nothing was changed (RFC 9111 §4.4)")
	}},
	{name: "many_misses_make_one_request", page: func(t testing.TB, s *site) {
		const callers = 20
		second := make(chan struct{})
		all := make(chan struct{})
		var p *page
		p = s.page(func(w http.ResponseWriter, _ *http.Request) {
			if p.asked.Load() == 2 {
				close(second)
			}
			<-all
			select { // what must not happen is given time to
			case <-second:
			case <-time.After(quiet):
			}
			w.Header().Set("Cache-Control", "max-age=60")
			_, _ = io.WriteString(w, "well")
		})
		var conns []*conn
		for range callers {
			c := dial(t, s.edge)
			c.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", p.path, Host))
			conns = append(conns, c)
		}
		close(all)
		for _, c := range conns {
			require.Equal(t, "well", c.final(t, "GET").body)
		}
		assert.EqualValues(t, 1, p.asked.Load(), "%d clients waited for the same answer", callers)
	}},
	{name: "many_who_wait_for_a_private_answer_get_each_their_own", page: func(t testing.TB, s *site) {
		const callers = 4
		all := make(chan struct{})
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-all:
			case <-r.Context().Done():
			}
			w.Header().Set("Cache-Control", "private, max-age=60")
			fmt.Fprint(w, "orders of ", r.Header.Get("Cookie"))
		})
		var conns []*conn
		for i := range callers {
			c := dial(t, s.edge)
			c.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nCookie: customer=%d\r\n\r\n", p.path, Host, i))
			conns = append(conns, c)
		}
		close(all)
		for i, c := range conns {
			require.Equal(t, fmt.Sprint("orders of customer=", i), c.final(t, "GET").body, "RFC 9111 §5.2.2.7")
		}
	}},
	{name: "the_first_of_many_may_leave", page: func(t testing.TB, s *site) {
		came, all := make(chan struct{}), make(chan struct{})
		var once sync.Once
		p := s.page(func(w http.ResponseWriter, r *http.Request) {
			once.Do(func() { close(came) })
			select {
			case <-all:
			case <-r.Context().Done():
				return
			}
			w.Header().Set("Cache-Control", "max-age=60")
			_, _ = io.WriteString(w, "well")
		})
		release := sync.OnceFunc(func() { close(all) })
		defer release()
		first, second := dial(t, s.edge), dial(t, s.edge)
		text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", p.path, Host)
		first.send(text)
		wait(t, came, "the first request at the origin")
		second.send(text)
		require.NoError(t, first.Close())
		got := make(chan string, 1)
		go func() {
			resp, err := http.ReadResponse(second.in, nil)
			if err != nil {
				got <- err.Error()
				return
			}
			a := finish(resp)
			got <- fmt.Sprint(a.StatusCode, " ", a.body)
		}()
		select { // the second may get nothing yet
		case text := <-got:
			require.Fail(t, "the second client got "+text+" when the first left")
		case <-time.After(quiet):
		}
		release()
		assert.Equal(t, "200 well", wait(t, got, "the second client's answer"))
	}},
	keeps("CDN-Cache-Control_beats_Cache-Control", "it is for caches like this one (RFC 9213 §2.2)", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60"),
	keepsNot("no-store_in_CDN-Cache-Control_beats_Cache-Control", "it is for caches like this one (RFC 9213 §2.2)", fresh, "CDN-Cache-Control: no-store"),
	{name: "Cache-Status_tells_a_miss_from_a_hit", page: func(t testing.TB, s *site) {
		p := counted(s, fresh)
		first, second := p.get(t).Header.Get("Cache-Status"), p.get(t).Header.Get("Cache-Status")
		assert.Regexp(t, `^[^;,]+;.*\bfwd\b`, first, "of a miss (RFC 9211 §2.2)")
		assert.Regexp(t, `^[^;,]+;\s*hit\b`, second, "of a hit (RFC 9211 §2.1)")
	}},
}

func languages(s *site) *page {
	return s.page(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		fmt.Fprint(w, "in ", r.Header.Get("Accept-Language"))
	})
}

// invalidates is the leaf that a request by method, if it succeeds, ends what is
// stored for its URL.
func invalidates(method string) leaf {
	return leaf{name: method + "_ends_what_is_stored", page: func(t testing.TB, s *site) {
		p := counted(s, fresh)
		kept(t, p, true, "it may be used for 60 s")
		require.Equal(t, 200, p.do(t, method, nil).StatusCode)
		assert.Equal(t, "answer 3", p.get(t).body, "%s changed it, and what was stored before is out of date (RFC 9111 §4.4)", method)
	}}
}

// stale has an answer be one second older than it may be. nginx, which takes no
// notice of Age, is told in its own way.
func stale(h http.Header, directives ...string) {
	h.Set("Cache-Control", strings.Join(append([]string{"max-age=10"}, directives...), ", "))
	h.Set("Age", "11")
	h.Set("X-Accel-Expires", fmt.Sprint("@", time.Now().Add(-time.Second).Unix()))
}

// staleness is what becomes of a stored answer that is too old (RFC 9111 §4.2.4, §4.3).
var staleness = []leaf{
	{name: "what_is_as_old_as_it_may_be_is_asked_for_again", page: func(t testing.TB, s *site) {
		kept(t, counted(s, "Cache-Control: max-age=60", "Age: 30"), true, "30 s of 60 are left")
		kept(t, counted(s, "Cache-Control: max-age=10", "Age: 11"), false, "it was 11 s old when it came, of 10 (RFC 9111 §4.2.3)")
	}},
	{name: "it_is_asked_for_by_its_ETag", page: func(t testing.TB, s *site) {
		p, asked := revalidated(s)
		require.Equal(t, "answer 1", p.get(t).body)
		wait(t, asked, "the first request")
		p.get(t)
		assert.Equal(t, `"1"`, wait(t, asked, "the second request").Get("If-None-Match"), "RFC 9111 §4.3.1")
	}},
	{name: "304_means_200_from_the_cache", page: func(t testing.TB, s *site) {
		p, _ := revalidated(s)
		require.Equal(t, "answer 1", p.get(t).body)
		got := p.get(t)
		assert.Equal(t, "200 answer 1", fmt.Sprint(got.StatusCode, " ", got.body), "the client asked for no 304 (RFC 9111 §4.3.3)")
		assert.EqualValues(t, 2, p.asked.Load())
	}},
	{name: "304_makes_fresh_again", page: func(t testing.TB, s *site) {
		p, _ := revalidated(s)
		for range 4 {
			require.Equal(t, "answer 1", p.get(t).body)
		}
		assert.EqualValues(t, 2, p.asked.Load(), "the 304 said max-age=60 (RFC 9111 §4.3.4)")
	}},
	{name: "304_updates_the_stored_header", page: func(t testing.TB, s *site) {
		p, _ := revalidated(s)
		p.get(t)
		for range 2 {
			got := p.get(t)
			require.Equal(t, "answer 1", got.body)
			assert.Equal(t, "Bob", got.Header.Get("X-Cook"), "the 304 said so (RFC 9111 §3.2, §4.3.4)")
		}
		assert.EqualValues(t, 2, p.asked.Load())
	}},
	{name: "a_client's_own_validator_does_not_get_it_another's_304", page: func(t testing.TB, s *site) {
		p, _ := revalidated(s)
		require.Equal(t, "answer 1", p.get(t).body)
		got := p.get(t, `If-None-Match: "old"`)
		assert.Equal(t, "200 answer 1", fmt.Sprint(got.StatusCode, " ", got.body), "the client has another version (RFC 9111 §4.3.2)")
	}},
	{name: "a_new_answer_replaces_the_stored_one", page: func(t testing.TB, s *site) {
		var p *page
		p = s.page(func(w http.ResponseWriter, _ *http.Request) {
			if stale(w.Header()); p.asked.Load() > 1 {
				w.Header().Del("Age")
				w.Header().Del("X-Accel-Expires")
			}
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, p.asked.Load()))
			fmt.Fprint(w, "answer ", p.asked.Load())
		})
		require.Equal(t, "answer 1", p.get(t).body)
		for range 2 {
			assert.Equal(t, "answer 2", p.get(t).body)
		}
		assert.EqualValues(t, 2, p.asked.Load())
	}},
	{name: "stale-while-revalidate_answers_at_once", page: func(t testing.TB, s *site) {
		p, release := behind(s)
		require.Equal(t, "answer 1", p.get(t).body)
		assert.Equal(t, "answer 1", p.get(t).body, "it may be used for 30 s more while a new one is fetched (RFC 5861 §3)")
		eventually(t, func() bool { return p.asked.Load() == 2 }, "the edge asks for a new one in the background")
		release()
	}},
	{name: "stale-while-revalidate_fetches_a_new_one", page: func(t testing.TB, s *site) {
		p, release := behind(s)
		p.get(t)
		p.get(t)
		release()
		eventually(t, func() bool { return p.get(t).body == "answer 2" }, "the new answer takes the stale one's place (RFC 5861 §3)")
		assert.EqualValues(t, 2, p.asked.Load(), "many who get the stale one make one request")
	}},
	{name: "stale-if-error_helps_when_the_origin_says_503", page: func(t testing.TB, s *site) {
		onError(t, s, "200 answer 1", "it may be used for 30 s more if the origin fails (RFC 5861 §4)",
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, "stale-if-error=30")
	}},
	{name: "stale-if-error_helps_when_the_origin_hangs_up", page: func(t testing.TB, s *site) {
		onError(t, s, "200 answer 1", "it may be used for 30 s more if the origin fails (RFC 5861 §4)",
			func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "stale-if-error=30")
	}},
	{name: "must-revalidate_forbids_what_is_stale", page: func(t testing.TB, s *site) {
		onError(t, s, "503 ", "RFC 9111 §5.2.2.2", func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, "must-revalidate", "stale-if-error=30")
	}},
}

// revalidated is a page whose answer is stale at once, and which then says that
// nothing has changed but X-Cook, for a minute. It hands over the headers of the
// requests.
func revalidated(s *site) (*page, <-chan http.Header) {
	asked := make(chan http.Header, 10)
	var p *page
	p = s.page(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header
		w.Header().Set("ETag", `"1"`)
		if p.asked.Load() == 1 {
			stale(w.Header())
			w.Header().Set("X-Cook", "Ann")
		} else {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("X-Cook", "Bob")
		}
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "answer 1")
	})
	return p, asked
}

// behind is a page whose first answer is stale and may be used meanwhile, and
// whose next one waits for release.
func behind(s *site) (p *page, release func()) {
	gate, open := context.WithTimeout(context.Background(), deadline/3) // for who waits for it all the same
	p = s.page(func(w http.ResponseWriter, _ *http.Request) {
		n := p.asked.Load()
		if n == 1 {
			stale(w.Header(), "stale-while-revalidate=30")
		} else {
			<-gate.Done()
			w.Header().Set("Cache-Control", "max-age=60")
		}
		fmt.Fprint(w, "answer ", n)
	})
	return p, open
}

// onError has the origin give an answer that is stale, with these directives, and
// fail then.
func onError(t testing.TB, s *site, want, why string, fail func(w http.ResponseWriter), directives ...string) {
	t.Helper()
	var p *page
	p = s.page(func(w http.ResponseWriter, _ *http.Request) {
		if p.asked.Load() > 1 {
			fail(w)
			return
		}
		stale(w.Header(), directives...)
		_, _ = io.WriteString(w, "answer 1")
	})
	require.Equal(t, "answer 1", p.get(t).body)
	got := p.get(t)
	assert.Equal(t, want, fmt.Sprint(got.StatusCode, " ", got.body), why)
	assert.Greater(t, p.asked.Load(), int64(1), "the origin is asked first")
}
