package storable_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/httpcache"
	"clicktocode.example/03-reverse-proxy/solution/storable"
)

func TestMay(t *testing.T) {
	plain := get()

	t.Run("keeps_what_may_be_kept", func(t *testing.T) {
		may(t, true, plain, 200, "a plain answer to a GET, with a lifetime: nothing speaks against storing it", "Cache-Control: max-age=60")
	})

	t.Run("keeps_answers_to_GET_alone", func(t *testing.T) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "ORDER", "get"} {
			r := get()
			r.Method = method
			may(t, method == "GET", r, 200, "only what GET brings is kept here, in capitals (RFC 9110 §9.1): it is all there is at that URL, and to ask for it did nothing (RFC 9111 §3)", "Cache-Control: max-age=60")
		}
		r := get()
		r.Method = ""
		may(t, true, r, 200, `the method "" means GET, as everywhere in net/http`, "Cache-Control: max-age=60")
	})

	t.Run("keeps_nothing_that_says_no-store", func(t *testing.T) {
		const rule = "no-store in a response: no part of it may be stored (RFC 9111 §5.2.2.5)"
		may(t, true, plain, 200, `this no-store is an argument in quotes, and no directive`, `Cache-Control: ext="no-store", max-age=60`)
		may(t, false, plain, 200, rule, "Cache-Control: max-age=60, no-store")
		may(t, false, plain, 200, rule, "Cache-Control: max-age=60", "Cache-Control: No-Store")
		may(t, false, plain, 200, rule+". public beside it does not lift that: of two that contradict each other, the stricter one holds", "Cache-Control: public, no-store, s-maxage=60")
	})

	t.Run("keeps_nothing_whose_request_says_no-store", func(t *testing.T) {
		const rule = "no-store in a request: no part of what it brings may be stored (RFC 9111 §5.2.1.5)"
		for _, control := range []string{"no-cache", "max-age=0", `ext="no-store"`} {
			may(t, true, get("Cache-Control: "+control), 200, "the request does not say no-store. At most, the client wants a new answer, and that one may be stored", "Cache-Control: max-age=60")
		}
		may(t, false, get("Cache-Control: no-cache, no-store"), 200, rule, "Cache-Control: max-age=60")
		may(t, false, get("Cache-Control: no-cache", "Cache-Control: No-Store"), 200, rule+", on whichever line and in whatever letters. httpcache.ParseDirectives reads them all", "Cache-Control: max-age=60")
		may(t, false, get("Cache-Control: no-store", "CDN-Cache-Control: max-age=60"), 200, rule+". CDN-Cache-Control is a field of responses (RFC 9213 §2): in a request it takes the place of nothing", "Cache-Control: max-age=60")
		may(t, false, get("Cache-Control: no-store"), 200, rule+". must-understand in the response is about the response's own no-store", "Cache-Control: must-understand, no-store, max-age=60")
	})

	t.Run("keeps_nothing_private", func(t *testing.T) {
		const rule = "private: it is for the one who asked, and this cache answers all (RFC 9111 §5.2.2.7)"
		may(t, true, plain, 200, "public: it is for all", "Cache-Control: public, max-age=60")
		may(t, false, plain, 200, rule, "Cache-Control: private, max-age=60")
		may(t, false, plain, 200, rule, "Cache-Control: s-maxage=60, private")
		may(t, false, plain, 200, rule+". public beside it does not lift that: of two that contradict each other, the stricter one holds", "Cache-Control: public, private, max-age=60")
	})

	t.Run("keeps_what_is_private_in_single_fields", func(t *testing.T) {
		may(t, true, plain, 200, "private names a field here: the cache leaves that out, and may store the rest (RFC 9111 §5.2.2.7). See Unqualified", `Cache-Control: private="x-user", max-age=60`, "X-User: 7")
	})

	t.Run("keeps_what_is_to_be_confirmed_each_time", func(t *testing.T) {
		const rule = "it must not be used again before the origin was asked. To be asked about, it must be stored: when the origin says that nothing has changed, it need not be sent again (RFC 9111 §5.2.2.4)"
		may(t, true, plain, 200, rule, "Cache-Control: no-cache", `ETag: "1"`)
		may(t, true, plain, 200, rule, "Cache-Control: max-age=0", `ETag: "1"`)
		may(t, true, plain, 200, "no-cache forbids to use it unasked, and not to store it (RFC 9111 §5.2.2.4). Without an ETag, too, it may serve one day, when the origin cannot be asked", "Cache-Control: no-cache, stale-if-error=60")
	})

	t.Run("needs_a_reason_to_keep_it", func(t *testing.T) {
		const yes = "this says that it may be kept (RFC 9111 §3)"
		const no = "a response of this status is kept only if something in it says so: public, max-age, s-maxage or Expires (RFC 9111 §3)"
		for _, status := range []int{201, 302, 307, 403, 500, 503, 299, 599} {
			may(t, true, plain, status, yes, "Cache-Control: max-age=60")
			may(t, true, plain, status, yes, "Cache-Control: s-maxage=60")
			may(t, true, plain, status, yes, "Cache-Control: public")
			may(t, true, plain, status, yes, "Expires: Mon, 02 Mar 2026 13:00:00 GMT")
			may(t, false, plain, status, no)
			may(t, false, plain, status, no, "Cache-Control: must-revalidate", `ETag: "1"`)
			may(t, false, plain, status, no, `Cache-Control: no-cache, private="x-user", immutable, stale-while-revalidate=60`, "Last-Modified: Mon, 02 Mar 2026 11:00:00 GMT")
		}
		may(t, false, plain, 302, no+". must-understand is about the status, and no reason", "Cache-Control: must-understand, no-store")
		for _, field := range []string{"Cache-Control: max-age=soon", "Cache-Control: s-maxage=0", "Expires: 0", "Expires: "} {
			may(t, true, plain, 302, yes+", and whether it is of any use tells package freshness: a value that cannot be read makes it stale, and no less storable", field)
		}
	})

	t.Run("keeps_some_statuses_without_a_word", func(t *testing.T) {
		for _, status := range []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501} {
			may(t, true, plain, status, "this status is heuristically cacheable: it may be stored though nothing says so (RFC 9110 §15.1). See httpcache.HeuristicallyCacheable")
		}
	})

	t.Run("keeps_no_answer_to_a_part_of_a_request", func(t *testing.T) {
		may(t, true, get("Range: bytes=0-9"), 200, "the origin did not care for Range, and 200 is the whole", "Cache-Control: max-age=60")
		may(t, true, get(`If-None-Match: "1"`, "If-Modified-Since: Mon, 02 Mar 2026 11:00:00 GMT"), 200, "what the client holds is good no more, and 200 is the new one, whole", "Cache-Control: max-age=60")
		for status, rule := range map[int]string{
			206: "206 is a part of the content, and who asks next may want the whole (RFC 9111 §3.3)",
			416: "416 says that there is no such Range. Who asks next may want the whole, and would get the error",
			304: "304 says that what the client holds is good. Who asks next may hold nothing (RFC 9111 §3)",
			412: "412 says that the client's condition does not hold. Who asks next may have none, and would get the error",
		} {
			may(t, false, get("Range: bytes=0-9", `If-Match: "1"`, `If-None-Match: "2"`), status, rule, "Cache-Control: public, max-age=60")
			may(t, false, plain, status, rule+". The status says so, whatever is left of the request's fields by now", "Cache-Control: public, max-age=60")
		}
	})

	t.Run("keeps_no_status_that_is_not_final", func(t *testing.T) {
		may(t, true, plain, 200, "a final status", "Cache-Control: public, max-age=60")
		for _, status := range []int{100, 101, 103} {
			may(t, false, plain, status, "below 200 it is not the answer yet, or never will be one (RFC 9111 §3)", "Cache-Control: public, max-age=60")
		}
	})

	t.Run("keeps_no_answer_to_Authorization", func(t *testing.T) {
		const rule = "Authorization in the request: the answer was for one whom the origin knows, and the next one may be another (RFC 9111 §3.5)"
		may(t, true, get("Cookie: theme=dark"), 200, "no Authorization in the request", "Cache-Control: max-age=60")
		for _, control := range []string{"max-age=60", "max-age=60, proxy-revalidate", "max-age=60, no-cache", `max-age=60, private="x-user"`} {
			may(t, false, get("Authorization: Basic Zm9v"), 200, rule, "Cache-Control: "+control)
		}
		may(t, false, get("Authorization: Basic Zm9v"), 200, rule, "Expires: Mon, 02 Mar 2026 13:00:00 GMT")
		for _, value := range []string{"Bearer x", "Digest x", ""} {
			may(t, false, get("Authorization: "+value), 200, rule+". It is there, with whatever value: Header.Get is \"\" also where it is absent", "Cache-Control: max-age=60")
		}
		may(t, false, get("Authorization: Basic Zm9v"), 200, rule+". CDN-Cache-Control is for caches that serve many, but its max-age is a lifetime, too, and no permission", "CDN-Cache-Control: max-age=60")
	})

	t.Run("keeps_an_answer_to_Authorization_that_is_for_all", func(t *testing.T) {
		for _, control := range []string{"public", "s-maxage=60", "max-age=60, must-revalidate"} {
			may(t, true, get("Authorization: Basic Zm9v"), 200, "public, s-maxage and must-revalidate allow it in spite of Authorization (RFC 9111 §3.5)", "Cache-Control: "+control)
		}
	})

	t.Run("keeps_nothing_with_a_cookie_for_one", func(t *testing.T) {
		may(t, true, plain, 200, "no-cache names the cookie, and the cache leaves it out: the rest is for all. See setsCookie", `Cache-Control: max-age=60, no-cache="set-cookie"`, "Set-Cookie: session=7")
		may(t, true, plain, 200, "s-maxage is for caches that serve many, so the origin means it for all. See setsCookie", "Cache-Control: s-maxage=60", "Set-Cookie: theme=dark")
		may(t, false, plain, 200, "Set-Cookie: this may be one client's session, and the answer for that client. max-age alone does not say that it is for all. See setsCookie", "Cache-Control: max-age=60", "Set-Cookie: session=7")
	})

	t.Run("keeps_nothing_that_varies_by_everything", func(t *testing.T) {
		may(t, true, plain, 200, "this answer depends on one field of the request, and is kept for those who send the same", "Cache-Control: max-age=60", "Vary: ,Accept-Language ,")
		for _, vary := range []string{"*", "*, *", ", *", "*, Accept-Language", "Accept-Language,*"} {
			may(t, false, plain, 200, "Vary with a * in it: the answer depends on more than the header, so no request can be known to be like this one (RFC 9111 §4.1). See varies", "Cache-Control: max-age=60", "Vary: "+vary)
		}
		may(t, false, plain, 200, "Vary is a list, also over several lines, and one of them has a *. See varies", "Cache-Control: max-age=60", "Vary: Accept-Language", "Vary: *")
		may(t, false, plain, 200, "Vary names what can be no field, so no request can be known to be like this one. See varies", "Cache-Control: max-age=60", "Vary: Accept Language")
	})

	t.Run("lets_must-understand_stand_above_no-store", func(t *testing.T) {
		const rule = "no-store beside must-understand is for caches that do not know must-understand. This one does, and it knows the status (RFC 9111 §5.2.2.3). See understood"
		for _, status := range []int{200, 404, 503} {
			may(t, true, plain, status, rule, "Cache-Control: must-understand, no-store, max-age=60")
		}
	})

	t.Run("lets_must-understand_stand_above_nothing_else", func(t *testing.T) {
		may(t, true, plain, 200, "must-understand, and the status is known", "Cache-Control: must-understand, no-store, max-age=60")
		may(t, false, plain, 200, "must-understand is about no-store. private holds beside it as ever: it is for the one who asked (RFC 9111 §5.2.2.3, §5.2.2.7)", "Cache-Control: must-understand, no-store, private, max-age=60")
	})

	t.Run("keeps_no_unknown_status_with_must-understand", func(t *testing.T) {
		for _, control := range []string{"must-understand, no-store, max-age=60", "must-understand, max-age=60"} {
			may(t, true, plain, 200, "must-understand, and the status is known", "Cache-Control: "+control)
			may(t, false, plain, 299, "must-understand: who does not know what this status asks of caches must not store it (RFC 9111 §5.2.2.3). See understood", "Cache-Control: "+control)
		}
	})

	t.Run("follows_a_targeted_field", func(t *testing.T) {
		const rule = "CDN-Cache-Control is for caches like this one, and takes the place of Cache-Control (RFC 9213 §2.2). See httpcache.ResponseDirectives"
		may(t, true, plain, 200, rule, "CDN-Cache-Control: max-age=60", "Cache-Control: no-store")
		may(t, true, plain, 200, rule, "CDN-Cache-Control: max-age=60", "Cache-Control: private, no-cache")
		may(t, false, plain, 200, rule, "CDN-Cache-Control: no-store", "Cache-Control: public, max-age=60")
		may(t, false, plain, 200, rule, "CDN-Cache-Control: private", "Cache-Control: public, max-age=60")
	})

	t.Run("ignores_Expires_beside_a_targeted_field", func(t *testing.T) {
		const expires = "Expires: Mon, 02 Mar 2026 13:00:00 GMT"
		may(t, true, plain, 302, "this CDN-Cache-Control has a fault, a capital, and does not count (RFC 9213 §2.1). Expires says that it may be kept", "CDN-Cache-Control: Must-Revalidate", expires)
		may(t, false, plain, 302, "where CDN-Cache-Control holds, Expires is to be ignored as Cache-Control is (RFC 9213 §2.2), and nothing else says that it may be kept. See Targeted", "CDN-Cache-Control: must-revalidate", expires)
	})

	t.Run("keeps_no_answer_to_content", func(t *testing.T) {
		may(t, true, plain, 200, "a GET without content", "Cache-Control: max-age=60")
		for _, length := range []int64{5, -1} {
			r := get()
			r.ContentLength = length
			may(t, false, r, 200, fmt.Sprintf("a GET with content (ContentLength %d): the key does not tell it from one without, and its answer would go to all", length), "Cache-Control: max-age=60")
		}
	})
}

func TestKey(t *testing.T) {
	t.Run("tells_two_languages_apart", func(t *testing.T) {
		keys(t, "Vary: Accept-Language", "the answer depends on the language that was asked for (RFC 9111 §4.1)",
			[]*http.Request{get("Accept-Language: de"), get("Accept-Language: de")},
			[]*http.Request{get("Accept-Language: fr"), get("Accept-Language: de-AT")})
	})

	t.Run("looks_at_nothing_else", func(t *testing.T) {
		head := get("Accept-Language: de")
		head.Method = http.MethodHead
		keys(t, "Vary: Accept-Language", "Vary names Accept-Language, and the method is no field: what GET brought answers HEAD, too (RFC 9111 §4)",
			[]*http.Request{get("Accept-Language: de"), head}, []*http.Request{get("Accept-Language: fr")})
		keys(t, "Vary: Accept-Language", "Vary names Accept-Language. Other fields make no difference, or hardly any request would find its answer (RFC 9111 §4.1)",
			[]*http.Request{get("Accept-Language: de", "User-Agent: one"), get("Accept-Language: de", "User-Agent: two"), get("Accept-Language: de")},
			[]*http.Request{get("Accept-Language: fr", "User-Agent: one")})
	})

	t.Run("looks_at_all_that_Vary_names", func(t *testing.T) {
		keys(t, "Vary: Accept-Language, X-Table", "Vary names two fields, and a request must be the same in both (RFC 9111 §4.1)",
			[]*http.Request{get("Accept-Language: de", "X-Table: 5"), get("X-Table: 5", "Accept-Language: de")},
			[]*http.Request{get("Accept-Language: de", "X-Table: 6"), get("Accept-Language: fr", "X-Table: 5"), get("Accept-Language: 5", "X-Table: de")})
	})

	t.Run("tells_which_field_is_absent", func(t *testing.T) {
		keys(t, "Vary: X-A, X-B", "a request that has only X-A is not like one that has only X-B, though the value is the same: the name belongs into the key",
			[]*http.Request{get("X-A: 1"), get("X-A: 1")},
			[]*http.Request{get("X-B: 1"), get("X-A: 1", "X-B: 1"), get()})
	})

	t.Run("tells_absent_from_empty", func(t *testing.T) {
		const rule = "a field that is absent matches only a request where it is absent, too, and one that is there and empty is not absent (RFC 9111 §4.1). http.Header.Get is \"\" for both; Values has no line for the first"
		keys(t, "Vary: X-A", rule,
			[]*http.Request{get(), get("X-B: 1")},
			[]*http.Request{get("X-A: "), get("X-A: 1")})
		keys(t, "Vary: X-A", rule,
			[]*http.Request{get("X-A: "), get("X-A: ")},
			[]*http.Request{get("X-A: 1")})
	})

	t.Run("takes_several_lines_for_one_value", func(t *testing.T) {
		keys(t, "Vary: X-A", "lines of the same name are one value, with commas in between (RFC 9110 §5.3, RFC 9111 §4.1). http.Header.Get has only the first",
			[]*http.Request{get("X-A: 1, 2"), get("X-A: 1", "X-A: 2")},
			[]*http.Request{get("X-A: 1"), get("X-A: 2"), get("X-A: 1", "X-A: 3")})
	})

	t.Run("compares_values_as_normal_writes_them", func(t *testing.T) {
		keys(t, "Vary: Accept-Language", "blanks around commas, and capitals in a language, make no difference (RFC 9111 §4.1): see normal",
			[]*http.Request{get("Accept-Language: de-at,en;q=0.5"), get("Accept-Language: de-AT ,\t EN;q=0.5")},
			[]*http.Request{get("Accept-Language: de-at,en;q=0.7"), get("Accept-Language: en;q=0.5,de-at"), get("Accept-Language: de-at")})
		keys(t, "Vary: Accept-Encoding", "the whole value counts, and not what the cache takes for its meaning: the origin may send br to the one and gzip to the other (RFC 9111 §4.1). See normal",
			[]*http.Request{get("Accept-Encoding: gzip, br"), get("Accept-Encoding: GZIP ,br")},
			[]*http.Request{get("Accept-Encoding: gzip"), get("Accept-Encoding: br, gzip"), get("Accept-Encoding: gzip;q=0, br")})
		keys(t, "Vary: X-A", "in a quoted string blanks make a difference, and capitals do in a field that the cache does not know: see normal",
			[]*http.Request{get(`X-A: "a, \", b" , c`), get(`X-A: "a, \", b",c`)},
			[]*http.Request{get(`X-A: "a,\", b",c`), get(`X-A: "a, \",b",c`), get(`X-A: "A, \", b",c`)})
	})

	t.Run("does_not_care_how_Vary_is_written", func(t *testing.T) {
		r := get("X-A: 1", "X-B: 2")
		want := key(t, header("Vary: X-A, X-B"), r)
		for _, vary := range [][]string{{"Vary: X-B, X-A"}, {"Vary: x-a,X-b"}, {"Vary: X-A", "Vary: X-B"}, {"Vary: X-A, X-B, x-a"}, {"Vary: ,X-A ,\t, X-B,"}} {
			require.Equal(t, want, key(t, header(vary...), r), "%s\n%q names the same fields as Vary: X-A, X-B, so the key is to be the same. See varies", show(r), vary)
		}
		require.NotEqual(t, want, key(t, header("Vary: X-A, X-B"), get("X-A: 1", "X-B: 3")), "Vary: X-A, X-B: two requests have the same key, as in: X-B: 2, and X-B: 3")
	})

	t.Run("takes_Host_from_where_it_is", func(t *testing.T) {
		shop, other := get(), get()
		shop.Host, other.Host = "shop.test", "kitchen.test"
		keys(t, "Vary: Host", "net/http keeps the field Host in Request.Host, and not in the header",
			[]*http.Request{shop, shop.Clone(shop.Context())}, []*http.Request{other})
	})

	t.Run("is_one_for_all_without_Vary", func(t *testing.T) {
		for _, vary := range [][]string{nil, {"Vary: "}, {"Vary: , "}} {
			require.Equal(t, key(t, header(vary...), get("X-A: 1")), key(t, header(vary...), get("X-A: 2")), "%q names no field: all requests have the same key, as in: X-A: 1, and X-A: 2", vary)
		}
		require.NotEqual(t, key(t, header("Vary: X-A"), get("X-A: 1")), key(t, header("Vary: X-A"), get("X-A: 2")), "Vary: X-A: two requests have the same key, as in: X-A: 1, and X-A: 2")
	})

	t.Run("cannot_be_forged_by_a_value", func(t *testing.T) {
		vary := header("Vary: X-A, X-B")
		// What stands between two values in a key is what a client would put into one.
		between := []string{"|", ";", ":", "=", "&", ",", " ", "/", "-", `"`, `\`, `";"`, ";X-B=", ";X-B:", "|X-B=", "X-B", `"X-B"=`}
		if k := key(t, vary, get("X-A: abcabc", "X-B: xyzxyz")); strings.Contains(k, "abcabc") {
			_, rest, _ := strings.Cut(k, "abcabc")
			if found, _, ok := strings.Cut(rest, "xyzxyz"); ok {
				between = append([]string{found}, between...)
			}
		}
		require.NotEmpty(t, key(t, vary, get("X-A: 1", "X-B: 2")), "Vary: X-A, X-B: a key of a request that has both must say so, and it is empty")
		for _, s := range between {
			if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				continue // net/http lets no such octet into a value
			}
			differ(t, vary, get("X-A: 1"+s+"2", "X-B: 3"), get("X-A: 1", "X-B: 2"+s+"3"),
				"a client may write into a value whatever stands between two values in the key, and so get, or plant, another's answer. Quotes (strconv.Quote) or lengths keep values apart")
		}
	})

	t.Run("cannot_be_forged_by_a_word_for_absent", func(t *testing.T) {
		vary := header("Vary: X-A, X-B")
		words := []string{"-", "<nil>", "nil", "none", "null", "absent", "<absent>", "(absent)", "missing", "\u2205"}
		before, after, _ := strings.Cut(key(t, vary, get("X-A: abcabc", "X-B: 1")), "abcabc")
		if k := key(t, vary, get("X-B: 1")); len(k) > len(before)+len(after) && strings.HasPrefix(k, before) && strings.HasSuffix(k, after) {
			words = append([]string{k[len(before) : len(k)-len(after)]}, words...)
		}
		for _, word := range words {
			if strings.ContainsFunc(word, func(c rune) bool { return c < ' ' || c == 0x7f }) || word != strings.Trim(word, " ") {
				continue // net/http lets no such value in
			}
			differ(t, vary, get("X-B: 1"), get("X-A: "+word, "X-B: 1"), "a client may send whatever word stands for an absent field in the key. Write nothing at all for it")
		}
	})
}

// Two requests have one key only if they are the same in what Vary names.
func FuzzKey(f *testing.F) {
	f.Add("1", "2", "1", "3")
	f.Add(`1"X-B"="2`, "3", "1", `2"X-B"="3`)
	f.Add(`\`, `"`, `\"`, ``)
	f.Fuzz(func(t *testing.T, a1, b1, a2, b2 string) {
		if strings.ContainsFunc(a1+b1+a2+b2, func(c rune) bool { return c <= ' ' || c == 0x7f || c == ',' }) {
			return // no such value arrives, or it may be written in several ways
		}
		vary := header("Vary: X-A, X-B")
		one, other := get("X-A: "+a1, "X-B: "+b1), get("X-A: "+a2, "X-B: "+b2)
		same := a1 == a2 && b1 == b2
		require.Equal(t, same, key(t, vary, one) == key(t, vary, other), "Vary: X-A, X-B: have these two the same key?\n%s\n%s\nkeys %q and %q", show(one), show(other), key(t, vary, one), key(t, vary, other))
	})
}

// A response is stored only if a request can be matched with its Vary.
func FuzzVary(f *testing.F) {
	f.Add("Accept-Language")
	f.Add(" ,X-A\t,x-b, ")
	f.Fuzz(func(t *testing.T, vary string) {
		want := true
		for name := range strings.SplitSeq(vary, ",") {
			name = strings.Trim(name, " \t")
			want = want && (name == "" || name != "*" && httpcache.IsToken(name))
		}
		h := http.Header{"Vary": {vary}}
		require.Equal(t, want, call(t, vary, func() bool { return storable.May(get(), 200, h) }), "Vary: %q: may the response be stored? Yes if all that it names can be a field, and none is *", vary)
	})
}

func BenchmarkKey(b *testing.B) {
	vary, r := header("Vary: Accept-Encoding, Accept-Language"), get("Accept-Encoding: gzip", "Accept-Language: de-AT, de;q=0.9, en;q=0.5")
	b.ReportAllocs()
	for b.Loop() {
		_ = storable.Key(vary, r)
	}
}

// may asserts whether the answer of this status and header, to r, may be stored.
func may(t *testing.T, want bool, r *http.Request, status int, rule string, fields ...string) {
	t.Helper()
	h := header(fields...)
	got := call(t, show(r), func() bool { return storable.May(r, status, h) })
	if got != want {
		require.Fail(t, "May gives the wrong answer", "May a shared cache store this?\n%s\n    answer   %d\n%s\nwanted   %v\ngot      %v\n%s",
			show(r), status, lines("             ", h), want, got, rule)
	}
}

// keys asserts that the requests alike have one key, and that those apart have others.
func keys(t *testing.T, vary, rule string, alike, apart []*http.Request) {
	t.Helper()
	h := header(vary)
	for _, r := range alike[1:] {
		one, other := key(t, h, alike[0]), key(t, h, r)
		if one != other {
			require.Fail(t, "two keys where there should be one", "%s\n%s\n%s\nwanted   the same key\ngot      %q and %q\n%s", vary, show(alike[0]), show(r), one, other, rule)
		}
	}
	for _, r := range apart {
		differ(t, h, alike[0], r, rule)
	}
}

// differ asserts that a and b have different keys.
func differ(t *testing.T, vary http.Header, a, b *http.Request, rule string) {
	t.Helper()
	if one := key(t, vary, a); one == key(t, vary, b) {
		require.Fail(t, "one key where there should be two", "Vary: %s\n%s\n%s\nwanted   different keys\ngot      %q for both\n%s", strings.Join(vary["Vary"], ", "), show(a), show(b), one, rule)
	}
}

func key(t *testing.T, vary http.Header, r *http.Request) string {
	t.Helper()
	return call(t, show(r), func() string { return storable.Key(vary, r) })
}

// call returns what f does, and fails if it does not return or panics.
func call[T any](t *testing.T, with string, f func() T) T {
	t.Helper()
	var got T
	panicked := make(chan any, 1)
	go func() {
		defer func() { panicked <- recover() }()
		got = f()
	}()
	select {
	case p := <-panicked:
		require.Nil(t, p, "it panicked, with\n%s", with)
	case <-time.After(2 * time.Second):
		require.FailNow(t, "it has not returned for two seconds", "with\n%s", with)
	}
	return got
}

// get is a GET with these fields.
func get(fields ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://shop.test/menu", nil)
	r.Header = header(fields...)
	return r
}

func header(fields ...string) http.Header {
	h := http.Header{}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		h.Add(name, value)
	}
	return h
}

// show is r to look at.
func show(r *http.Request) string {
	return strings.TrimRight(fmt.Sprintf("    request  %q of %s\n%s", r.Method, r.Host, lines("             ", r.Header)), "\n")
}

func lines(indent string, h http.Header) string {
	var all []string
	for name, values := range h {
		for _, value := range values {
			all = append(all, indent+name+": "+value)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
