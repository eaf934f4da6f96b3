package cors_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/solution/cors"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	m.Run()
}

func TestMatch(t *testing.T) {
	for _, row := range []struct {
		name, pattern string
		fits, fitsNot []string
		rule          string
	}{
		{"takes_the_same_origin", "https://shop.test",
			[]string{"https://shop.test"}, []string{"https://menu.test", "null", ""},
			"without a star, only the same origin fits"},
		{"keeps_schemes_apart", "https://shop.test",
			[]string{"https://shop.test"}, []string{"http://shop.test"},
			"another scheme is another origin (RFC 6454 §4): what comes over plain http, anybody on the line may have written"},
		{"keeps_ports_apart", "https://shop.test:8443",
			[]string{"https://shop.test:8443"}, []string{"https://shop.test", "https://shop.test:8444"},
			"another port is another origin (RFC 6454 §4): another program answers there"},
		{"keeps_names_apart_that_begin_alike", "https://shop.test",
			[]string{"https://shop.test"}, []string{"https://shop.test.evil.test", "https://shop.testing"},
			"whoever owns evil.test can name a host shop.test.evil.test: compare all of it"},
		{"keeps_names_apart_that_end_alike", "https://shop.test",
			[]string{"https://shop.test"}, []string{"https://evil-shop.test", "https://www.shop.test"},
			"anybody can buy evil-shop.test: compare all of it"},
		{"takes_octet_for_octet", "https://shop.test",
			[]string{"https://shop.test"}, []string{"https://SHOP.test", "https://shop.test/", "https://shop.test:443", " https://shop.test"},
			"a browser writes an origin in one way only: lower case, no slash, no default port (RFC 6454 §6.2). What looks otherwise does not come from one"},
		{"lets_a_star_stand_for_a_label", "https://*.shop.test",
			[]string{"https://www.shop.test", "https://a_1-b.shop.test"}, []string{"https://www.menu.test"},
			"the star stands for a label, the rest is as written"},
		{"lets_a_star_stand_for_several_labels", "https://*.shop.test",
			[]string{"https://a.b.shop.test", "https://www.shop.test.shop.test"}, []string{"https://a.b.menu.test"},
			"the star stands for one label or more"},
		{"ends_a_star_at_a_dot", "https://*.shop.test",
			[]string{"https://evil.shop.test"}, []string{"https://evil-shop.test", "https://evilshop.test"},
			"the dot behind the star is part of the pattern. Who owns shop.test decides about evil.shop.test, but anybody can buy evil-shop.test"},
		{"lets_no_star_stand_for_nothing", "https://*.shop.test",
			[]string{"https://www.shop.test"}, []string{"https://shop.test", "https://.shop.test"},
			"the star stands for one label at least: the domain itself is another origin, to be listed by itself"},
		{"keeps_scheme_and_port_of_a_star", "https://*.shop.test:8443",
			[]string{"https://www.shop.test:8443"}, []string{"http://www.shop.test:8443", "https://www.shop.test", "https://www.shop.test:8444"},
			"the star is part of the host: scheme and port are as written"},
		{"lets_a_star_stand_for_labels_only", "https://*.shop.test",
			[]string{"https://www.shop.test", "https://" + strings.Repeat("a", 63) + ".shop.test"},
			[]string{"https://evil.test/.shop.test", "https://evil.test/a.shop.test", "https://evil.test:1.shop.test", "https://evil@www.shop.test", "https://evil.test?.shop.test", "https://a..b.shop.test", "https://WWW.shop.test", "https://" + strings.Repeat("a", 64) + ".shop.test"},
			"the star stands for labels, with one dot between two. A label has 1 to 63 of a-z, 0-9, \"-\" and \"_\", see isLabel: with anything else in between, the host may be another one"},
		{"reads_a_star_alone_as_everybody", "*",
			[]string{"https://shop.test", "http://menu.test:81", "null"}, nil,
			"a star alone is everybody"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, origin := range row.fits {
				require.True(t, call(t, "Match", func() bool { return cors.Match(row.pattern, origin) }), "Match(%q, %q) must be true: %s", row.pattern, origin, row.rule)
			}
			for _, origin := range row.fitsNot {
				require.False(t, call(t, "Match", func() bool { return cors.Match(row.pattern, origin) }), "Match(%q, %q) must be false: %s", row.pattern, origin, row.rule)
			}
		})
	}
}

// house is what these tests allow, if they do not say otherwise.
var house = cors.Config{
	Origins: []string{"https://shop.test", "https://*.partner.test"},
	Methods: []string{"PUT", "DELETE"},
	Headers: []string{"Content-Type", "Authorization"},
}

// rich is house, with all that an answer may say.
var rich = cors.Config{
	Origins: house.Origins, Methods: house.Methods, Headers: house.Headers,
	Expose: []string{"Location"}, Credentials: true, MaxAge: time.Minute,
}

// A request that a form could send, too.
func TestRequest(t *testing.T) {
	t.Run("lets_a_script_of_an_allowed_origin_read_the_answer", func(t *testing.T) {
		d := open(t, origins("https://shop.test"))
		require.NoError(t, d.fetch(t, script{origin: "https://shop.test"}), "a script of https://shop.test, which is listed, asks GET /menu")
		require.Error(t, d.fetch(t, script{origin: "https://evil-shop.test"}), "a script of https://evil-shop.test, which is not listed, asks GET /menu: it must not be told that it may read the answer. Whoever copies any Origin into Access-Control-Allow-Origin has no list")
	})

	t.Run("names_the_origin_that_asks", func(t *testing.T) {
		d := open(t, house)
		for _, origin := range []string{"https://shop.test", "https://www.partner.test"} {
			require.NoError(t, d.fetch(t, script{origin: origin}), "a script of %s asks GET /menu. Allowed are %q: Access-Control-Allow-Origin names the one that asks, since a browser takes neither a list there nor a pattern (Fetch, CORS check)", origin, house.Origins)
		}
	})

	t.Run("says_in_Vary_that_it_depends_on_Origin", func(t *testing.T) {
		d := open(t, house)
		d.varies(t, request("GET", "Origin", "https://shop.test"), "Origin",
			"GET /menu from https://shop.test, which is allowed: a cache would give this answer, with this origin's name in it, to the scripts of others (RFC 9110 §12.5.5)")
	})

	t.Run("says_so_also_to_an_origin_that_is_refused", func(t *testing.T) {
		d := open(t, house)
		d.varies(t, request("GET", "Origin", "https://evil-shop.test"), "Origin",
			"GET /menu from https://evil-shop.test, which is not allowed: a cache would give this answer, which allows nobody, to the scripts of those who are")
	})

	t.Run("says_so_also_without_an_Origin", func(t *testing.T) {
		d := open(t, house)
		d.varies(t, request("GET"), "Origin",
			"GET /menu without Origin, as from the page itself: a cache would give this answer, which allows nobody, to the scripts of those who are allowed")
	})

	t.Run("leaves_what_Vary_says_already", func(t *testing.T) {
		d := open(t, house, func(c *gin.Context) { c.Header("Vary", "Accept-Encoding") })
		d.varies(t, request("GET", "Origin", "https://shop.test"), "Accept-Encoding",
			"GET /menu, and a bouncer in front has set Vary: Accept-Encoding. Add, and do not Set")
		d.varies(t, request("GET", "Origin", "https://shop.test"), "Origin",
			"GET /menu, and a bouncer in front has set Vary: Accept-Encoding")
	})

	t.Run("goes_to_the_handler_whatever_its_origin", func(t *testing.T) {
		d := open(t, house)
		var got []string
		for _, origin := range []string{"https://shop.test", "https://evil-shop.test", "https://api.test"} {
			w := d.do(t, request("POST", "Origin", origin))
			got = append(got, fmt.Sprintf("%d %t", w.status, w.header.Get("Access-Control-Allow-Origin") != ""))
		}
		require.Equal(t, "200 true, 200 false, 200 false", strings.Join(got, ", "), "POST /menu at https://api.test, from https://shop.test (allowed), from https://evil-shop.test (not listed), and from https://api.test itself: the status, and whether there is an Access-Control-Allow-Origin. The browser keeps the answer from scripts of others; who refuses the request shuts out the site's own pages, whose POST has an Origin, too (Fetch, `Origin` header)")
	})

	t.Run("does_not_take_null_for_an_origin", func(t *testing.T) {
		d := open(t, house)
		require.NoError(t, d.fetch(t, script{origin: "https://shop.test"}), "a script of https://shop.test, which is listed, asks GET /menu")
		require.Error(t, d.fetch(t, script{origin: "null"}), "a script in a sandboxed frame, whose Origin is null, asks GET /menu: every site can have such a frame")
	})

	t.Run("takes_two_origins_for_none", func(t *testing.T) {
		d := open(t, house)
		require.NoError(t, d.fetch(t, script{origin: "https://shop.test"}), "a script of https://shop.test, which is listed, asks GET /menu")
		w := d.do(t, request("GET", "Origin", "https://shop.test", "Origin", "https://evil-shop.test"))
		require.Empty(t, w.header.Get("Access-Control-Allow-Origin"), "Access-Control-Allow-Origin of GET /menu with two lines of Origin, https://shop.test and https://evil-shop.test: no browser sends that, so none of them can be believed")
	})

	t.Run("lets_a_script_read_why_it_was_refused", func(t *testing.T) {
		d := open(t, house)
		w := d.do(t, request("DELETE", "Origin", "https://shop.test"))
		require.Equal(t, http.StatusUnauthorized, w.status, "DELETE /menu without a token from https://shop.test: a bouncer behind refuses it")
		require.NoError(t, script{origin: "https://shop.test"}.check(w), "the script reads that refusal, or would learn only that something failed, and not that it must log in")
	})

	t.Run("lets_a_script_read_the_fields_that_are_exposed", func(t *testing.T) {
		c := house
		c.Expose = []string{"Location", "X-Request-ID"}
		d := open(t, c)
		got := fieldsOf(d.do(t, request("GET", "Origin", "https://shop.test")), "Access-Control-Expose-Headers")
		require.ElementsMatch(t, []string{"location", "x-request-id"}, got, "Access-Control-Expose-Headers of GET /menu from https://shop.test, with Expose %q: without it, a script can read a handful of fields only (Fetch, CORS-safelisted response-header name)", c.Expose)
	})

	t.Run("lets_the_users_cookies_come_along_if_asked_to", func(t *testing.T) {
		c := house
		c.Credentials = true
		d := open(t, c)
		require.NoError(t, d.fetch(t, script{origin: "https://shop.test", credentials: true}), "Credentials is true, and a script of https://shop.test asks GET /menu with cookies")
		d = open(t, house)
		require.Error(t, d.fetch(t, script{origin: "https://shop.test", credentials: true}), "Credentials is false, and a script of https://shop.test asks GET /menu with cookies: it must not be told that it may read the answer, which is the user's")
	})

	t.Run("lets_everybody_read_if_asked_to", func(t *testing.T) {
		d := open(t, cors.Config{Origins: []string{"*"}})
		require.NoError(t, d.fetch(t, script{origin: "https://evil-shop.test"}), "Origins is *, and a script of https://evil-shop.test asks GET /menu without cookies")
		require.Error(t, d.fetch(t, script{origin: "https://evil-shop.test", credentials: true}), "Origins is *, and a script of https://evil-shop.test asks GET /menu with cookies: Access-Control-Allow-Credentials is not for everybody")
	})

	t.Run("tells_nothing_to_others", func(t *testing.T) {
		d := open(t, rich)
		got := d.do(t, request("GET", "Origin", "https://shop.test"))
		for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"} {
			require.NotEmpty(t, got.header.Get(name), "%s of GET /menu from https://shop.test, which is allowed, with Credentials and Expose %q", name, rich.Expose)
		}
		for _, r := range []*http.Request{request("GET", "Origin", "https://evil-shop.test"), request("GET", "Origin", "null"), request("GET", "Origin", "https://SHOP.test"), request("GET", "Origin", "https://shop.test/"), request("GET"), request("OPTIONS", "Origin", "https://evil-shop.test")} {
			for name, value := range d.do(t, r).header {
				require.False(t, strings.HasPrefix(name, "Access-Control-"), "%s\nwas answered with %s: %s. Its origin is not allowed, or there is none: the answer says nothing of what others may", show(r), name, value)
			}
		}
	})
}

func TestPreflight(t *testing.T) {
	t.Run("reaches_nobody_behind", func(t *testing.T) {
		d := open(t, house)
		d.do(t, preflight("https://shop.test", "PUT", "content-type"))
		d.do(t, preflight("https://evil-shop.test", "PUT", "content-type"))
		require.EqualValues(t, 0, d.passed.Load(), "two preflights, one from https://shop.test, one from https://evil-shop.test: so many got to the next bouncer. It asks for a token, and a preflight never has one. Without c.Abort, gin goes on")
		d.do(t, request("GET"))
		require.EqualValues(t, 1, d.passed.Load(), "then a GET: it must get to the next bouncer")
	})

	t.Run("is_answered_with_204", func(t *testing.T) {
		d := open(t, house)
		w := d.do(t, preflight("https://shop.test", "PUT", "content-type"))
		require.Equal(t, http.StatusNoContent, w.status, "OPTIONS /menu from https://shop.test, which is allowed, with Access-Control-Request-Method: PUT, which is allowed, and Access-Control-Request-Headers: content-type, which is allowed. The answer is %q", w.body)
	})

	t.Run("lets_a_script_send_what_is_allowed", func(t *testing.T) {
		d := open(t, house)
		for _, origin := range []string{"https://shop.test", "https://www.partner.test"} {
			err := d.fetch(t, script{origin: origin, method: "PUT", fields: []string{"Content-Type", "Authorization"}})
			require.NoError(t, err, "a script of %s asks PUT /menu with Content-Type and Authorization, and all of that is listed", origin)
		}
	})

	t.Run("is_refused_to_other_origins", func(t *testing.T) {
		d := open(t, rich)
		d.refuses(t, preflight("https://shop.test", "PUT"), preflight("https://evil-shop.test", "PUT"),
			"allowed are the origins %q", house.Origins)
		d.refuses(t, preflight("https://shop.test", "PUT"), preflight("null", "PUT"),
			"allowed are the origins %q, and null is every sandboxed frame", house.Origins)
	})

	t.Run("is_refused_for_other_methods", func(t *testing.T) {
		d := open(t, rich)
		d.refuses(t, preflight("https://shop.test", "PUT"), preflight("https://shop.test", "PATCH"),
			"allowed are the methods %q", house.Methods)
	})

	t.Run("is_refused_for_other_fields", func(t *testing.T) {
		d := open(t, rich)
		d.refuses(t, preflight("https://shop.test", "PUT", "authorization,content-type"), preflight("https://shop.test", "PUT", "authorization,content-type,x-evil"),
			"allowed are the fields %q", house.Headers)
	})

	t.Run("counts_all_lines_of_requested_fields", func(t *testing.T) {
		d := open(t, house)
		d.refuses(t, preflight("https://shop.test", "PUT", "authorization", "Content-Type , "), preflight("https://shop.test", "PUT", "authorization", "x-evil"),
			"allowed are the fields %q. A list may come in several lines (RFC 9110 §5.3), and all of them count", house.Headers)
	})

	t.Run("is_refused_where_a_field_is_there_twice", func(t *testing.T) {
		d := open(t, rich)
		for _, fields := range [][]string{
			{"Origin", "https://shop.test", "Origin", "https://evil-shop.test", "Access-Control-Request-Method", "PUT"},
			{"Origin", "https://shop.test", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Method", "PATCH"},
		} {
			bad := request("OPTIONS", fields...)
			d.refuses(t, preflight("https://shop.test", "PUT"), bad, "a browser sends each of these once: which of two counts, nobody knows")
			require.Equal(t, http.StatusForbidden, d.do(t, bad).status, "%s\nThe status. It has the fields of a preflight, so it is one, and ends here: with 403, since which of two counts, nobody knows", show(bad))
			require.EqualValues(t, 0, d.passed.Load(), "%s\nSo many got to the next bouncer, which asks for a token, and a preflight never has one", show(bad))
		}
	})

	t.Run("is_refused_when_its_list_is_endless", func(t *testing.T) {
		d := open(t, house)
		d.refuses(t, preflight("https://shop.test", "PUT", "content-type"), preflight("https://shop.test", "PUT", strings.Repeat("content-type,", 50_000)),
			"no browser asks for 50,000 fields, see maxRequested")
	})

	t.Run("is_refused_by_a_problem", func(t *testing.T) {
		d := open(t, house)
		w := d.do(t, preflight("https://evil-shop.test", "PUT"))
		require.Equal(t, http.StatusForbidden, w.status, "OPTIONS /menu from https://evil-shop.test, which is not allowed, with Access-Control-Request-Method: PUT")
		require.Equal(t, problem.ContentType, w.header.Get("Content-Type"), "that answer is %q. A refusal is a problem document (RFC 9457), by problem.Abort", w.body)
		var got problem.Details
		require.NoError(t, json.Unmarshal([]byte(w.body), &got), "the problem is %q", w.body)
		require.Equal(t, http.StatusForbidden, got.Status, "the problem's own status")
	})

	t.Run("is_none_without_a_requested_method", func(t *testing.T) {
		d := open(t, house)
		got := fmt.Sprintf("%d, %d, %d", d.do(t, preflight("https://shop.test", "PUT")).status,
			d.do(t, request("OPTIONS", "Origin", "https://shop.test")).status, d.do(t, request("OPTIONS", "Origin", "https://evil-shop.test")).status)
		require.Equal(t, "204, 200, 200", got, "a preflight from https://shop.test; then OPTIONS /menu without Access-Control-Request-Method, from https://shop.test and from https://evil-shop.test: these two are no preflights (Fetch, CORS-preflight request), and the handler answers them, with 200")
	})

	t.Run("is_none_without_an_Origin", func(t *testing.T) {
		d := open(t, house)
		got := fmt.Sprintf("%d, %d", d.do(t, preflight("https://shop.test", "PUT")).status,
			d.do(t, request("OPTIONS", "Access-Control-Request-Method", "PUT")).status)
		require.Equal(t, "204, 200", got, "a preflight from https://shop.test; then OPTIONS /menu without Origin, which is none (Fetch, CORS-preflight request): the handler answers it, with 200")
	})

	t.Run("is_none_with_another_method", func(t *testing.T) {
		d := open(t, house)
		got := fmt.Sprintf("%d, %d", d.do(t, preflight("https://shop.test", "PUT")).status,
			d.do(t, request("POST", "Origin", "https://shop.test", "Access-Control-Request-Method", "PUT")).status)
		require.Equal(t, "204, 200", got, "a preflight from https://shop.test; then POST /menu with the same fields, which is none: the handler answers it, with 200")
	})

	t.Run("lets_the_users_cookies_come_along_if_asked_to", func(t *testing.T) {
		c := house
		c.Credentials = true
		with := script{origin: "https://shop.test", method: "PUT", fields: []string{"Authorization"}, credentials: true}
		require.NoError(t, open(t, c).fetch(t, with), "Credentials is true, and a script of https://shop.test asks PUT /menu with cookies: the preflight's answer says that it may, too")
		require.Error(t, open(t, house).fetch(t, with), "Credentials is false, and a script of https://shop.test asks PUT /menu with cookies")
	})

	t.Run("may_be_remembered_for_MaxAge", func(t *testing.T) {
		c := house
		c.MaxAge = 10 * time.Minute
		got := open(t, c).do(t, preflight("https://shop.test", "PUT")).header.Get("Access-Control-Max-Age")
		require.Equal(t, "600", got, "Access-Control-Max-Age with a MaxAge of 10 minutes: in seconds")
		_, there := open(t, house).do(t, preflight("https://shop.test", "PUT")).header["Access-Control-Max-Age"]
		require.False(t, there, "Access-Control-Max-Age must be absent with a MaxAge of 0, which leaves it to the browser")
	})

	t.Run("leaves_out_what_is_empty", func(t *testing.T) {
		d := open(t, origins("https://shop.test"))
		for _, r := range []*http.Request{request("GET", "Origin", "https://shop.test"), preflight("https://shop.test", "POST")} {
			got := d.do(t, r).header
			require.NotEmpty(t, got.Get("Access-Control-Allow-Origin"), "%s\nAccess-Control-Allow-Origin: the origin is allowed", show(r))
			require.Empty(t, got["Access-Control-Allow-Credentials"], "%s\nAccess-Control-Allow-Credentials, where Credentials is false: it knows one value, true, and is left out otherwise (Fetch), see set", show(r))
			for name, lines := range got {
				require.NotContains(t, lines, "", "%s\n%s is in the answer, and empty, where the Config has Origins and nothing else. A field that has nothing to say is left out, see set", show(r), name)
			}
		}
	})

	t.Run("says_in_Vary_what_it_depends_on", func(t *testing.T) {
		d := open(t, house)
		for _, r := range []func() *http.Request{
			func() *http.Request { return preflight("https://shop.test", "PUT") },
			func() *http.Request { return preflight("https://evil-shop.test", "PUT") },
		} {
			for _, name := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
				d.varies(t, r(), name, "a preflight from "+r().Header.Get("Origin")+": some caches in front of servers keep answers to OPTIONS, and would give this one to a preflight that asks for something else")
			}
		}
		for _, r := range []func() *http.Request{
			func() *http.Request { return request("OPTIONS") },
			func() *http.Request { return request("OPTIONS", "Origin", "https://shop.test") },
		} {
			for _, name := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
				d.varies(t, r(), name, show(r())+"\nThat is no preflight, since a field is missing. But a cache that has the answer would give it to a preflight, which has them")
			}
		}
	})
}

// The check of a Config is given.
//
//workshop:guard TestConfig/...
func TestConfig(t *testing.T) {
	t.Run("names_all_its_faults_at_once", func(t *testing.T) {
		_, err := cors.New(cors.Config{
			Origins: []string{"https://shop.test/", "null", "*"}, Methods: []string{"TRACE"}, Headers: []string{"Cookie"},
			Expose: []string{"Set-Cookie"}, Credentials: true, MaxAge: -time.Second,
		})
		require.Error(t, err)
		for _, fault := range []string{`"https://shop.test/"`, `"null"`, `"*"`, `"TRACE"`, `"Cookie"`, `"Set-Cookie"`, "-1s"} {
			assert.Contains(t, err.Error(), fault)
		}
		for line := range strings.Lines(err.Error()) {
			assert.True(t, strings.HasPrefix(line, "cors: "), line)
		}
	})

	for _, row := range []struct {
		name      string
		good, bad cors.Config
	}{
		{"an_origin_has_no_slash", origins("https://shop.test"), origins("https://shop.test/")},
		{"an_origin_has_no_path", origins("https://shop.test"), origins("https://shop.test/menu")},
		{"an_origin_has_no_query", origins("https://shop.test"), origins("https://shop.test?a")},
		{"an_origin_has_a_scheme", origins("https://shop.test"), origins("shop.test")},
		{"an_origin_has_a_scheme_of_the_web", origins("http://shop.test"), origins("ftp://shop.test")},
		{"an_origin_is_lower_case", origins("https://shop.test"), origins("https://Shop.test")},
		{"an_origin_has_no_user", origins("https://shop.test"), origins("https://me@shop.test")},
		{"an_origin_is_not_null", origins("https://null"), origins("null")},
		{"an_origin_is_not_empty", origins(), origins("")},
		{"an_origin_has_a_host", origins("https://shop.test"), origins("https://")},
		{"a_port_is_a_number", origins("https://shop.test:8443"), origins("https://shop.test:*")},
		{"a_port_is_not_empty", origins("https://shop.test:8443"), origins("https://shop.test:")},
		{"a_port_has_16_bits", origins("https://shop.test:65535"), origins("https://shop.test:65536")},
		{"a_port_has_no_leading_zero", origins("https://shop.test:80"), origins("https://shop.test:080")},
		{"a_port_is_not_the_schemes_own", origins("http://shop.test:443"), origins("https://shop.test:443")},
		{"a_star_is_a_label", origins("https://*.shop.test"), origins("https://*shop.test")},
		{"a_star_is_in_front", origins("https://*.shop.test"), origins("https://www.*.test")},
		{"a_star_is_there_once", origins("https://*.shop.test"), origins("https://*.*.shop.test")},
		{"a_star_stands_before_a_domain", origins("https://*.shop.test"), origins("https://*.test")},
		{"a_star_is_no_host", origins("*"), origins("https://*")},
		{"a_star_alone_is_alone", origins("*"), origins("*", "https://shop.test")},
		{"a_star_stands_before_no_address", origins("https://127.0.0.1"), origins("https://*.0.0.1")},
		{"an_address_is_canonical", origins("https://[::1]:8443"), origins("https://[0:0:0:0:0:0:0:1]:8443")},
		{"an_IPv6_address_has_brackets", origins("https://[2001:db8::a]"), origins("https://2001:db8::a")},
		{"an_IPv4_address_has_none", origins("https://192.0.2.1"), origins("https://[192.0.2.1]")},
		{"an_IPv4_address_has_four_numbers", origins("https://192.0.2.1"), origins("https://192.0.1")},
		{"a_name_is_in_its_ASCII_form", origins("https://xn--kche-0ra.test"), origins("https://küche.test")},
		{"a_label_has_63_octets", origins("https://" + strings.Repeat("a", 63) + ".test"), origins("https://" + strings.Repeat("a", 64) + ".test")},
		{"credentials_are_not_for_everybody", with("https://shop.test"), with("*")},
		{"credentials_need_https", with("https://shop.test"), with("http://shop.test")},
		{"credentials_need_no_https_on_this_machine", with("http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000"), with("http://192.0.2.1:3000")},
		{"a_method_is_not_forbidden", cors.Config{Methods: []string{"PUT"}}, cors.Config{Methods: []string{"CONNECT"}}},
		{"a_method_is_not_forbidden_in_any_case", cors.Config{Methods: []string{"PUT"}}, cors.Config{Methods: []string{"Track"}}},
		{"a_method_is_upper_case", cors.Config{Methods: []string{"PATCH"}}, cors.Config{Methods: []string{"patch"}}},
		{"a_method_is_a_token", cors.Config{Methods: []string{"PATCH"}}, cors.Config{Methods: []string{"PATCH, PUT"}}},
		{"a_method_is_not_a_star", cors.Config{Methods: []string{"PATCH"}}, cors.Config{Methods: []string{"*"}}},
		{"a_header_is_not_forbidden", cors.Config{Headers: []string{"If-Match"}}, cors.Config{Headers: []string{"content-length"}}},
		{"a_header_does_not_begin_with_Sec", cors.Config{Headers: []string{"Second"}}, cors.Config{Headers: []string{"Sec-Fetch-Site"}}},
		{"a_header_is_none_of_an_answer", cors.Config{Headers: []string{"If-Match"}}, cors.Config{Headers: []string{"Access-Control-Allow-Origin"}}},
		{"a_header_is_a_name", cors.Config{Headers: []string{"If-Match"}}, cors.Config{Headers: []string{"If Match"}}},
		{"a_header_is_not_a_star", cors.Config{Headers: []string{"If-Match"}}, cors.Config{Headers: []string{"*"}}},
		{"an_exposed_header_is_not_a_cookie", cors.Config{Expose: []string{"ETag"}}, cors.Config{Expose: []string{"set-cookie"}}},
		{"an_exposed_header_is_a_name", cors.Config{Expose: []string{"ETag"}}, cors.Config{Expose: []string{""}}},
		{"an_exposed_header_is_not_a_star", cors.Config{Expose: []string{"ETag"}}, cors.Config{Expose: []string{"*"}}},
		{"MaxAge_is_in_whole_seconds", cors.Config{MaxAge: time.Second}, cors.Config{MaxAge: 600}},
		{"MaxAge_is_a_day_at_most", cors.Config{MaxAge: 24 * time.Hour}, cors.Config{MaxAge: 24*time.Hour + time.Second}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := cors.New(row.good)
			assert.NoError(t, err)
			_, err = cors.New(row.bad)
			assert.Error(t, err, "%+v", row.bad)
		})
	}

	t.Run("is_copied", func(t *testing.T) {
		mine := cors.Config{Origins: []string{"https://shop.test"}}
		d := open(t, mine)
		mine.Origins[0] = "https://evil-shop.test"
		assert.Empty(t, d.do(t, request("GET", "Origin", "https://evil-shop.test")).header.Get("Access-Control-Allow-Origin"))
	})
}

func origins(all ...string) cors.Config { return cors.Config{Origins: all} }

func with(all ...string) cors.Config { return cors.Config{Origins: all, Credentials: true} }

// FuzzOrigin compares with a second opinion what is let in as a subdomain.
//
//workshop:guard FuzzOrigin/...
func FuzzOrigin(f *testing.F) {
	for _, labels := range []string{"www", "a.b", "", ".", "evil.test/", "evil-", "é", "A", "a:1", "a@b"} {
		f.Add(labels)
	}
	f.Fuzz(func(t *testing.T, labels string) {
		origin := "https://" + labels + ".shop.test"
		if !cors.Match("https://*.shop.test", origin) {
			return
		}
		_, err := cors.New(cors.Config{Origins: []string{origin}})
		if len(labels) < 200 {
			assert.NoError(t, err, "%q is let in, and is no origin", origin)
		}
	})
}

// script is what a script in a browser asks of the API at https://api.test.
type script struct {
	origin      string
	method      string   // "" = GET
	fields      []string // that it sends; none of them is one that a form could send
	credentials bool     // the user's cookies come along
}

// fetch does what a browser does, by the Fetch standard, and returns why the
// script may not read the answer, or nil if it may. It is the judge of these
// tests: whatever an answer says, what matters is what a browser makes of it.
func (d *door) fetch(t *testing.T, s script) error {
	t.Helper()
	method := "GET"
	if s.method != "" {
		method = s.method
	}
	safelisted := slices.Contains([]string{"GET", "HEAD", "POST"}, method)
	if !safelisted || len(s.fields) > 0 { // HTTP fetch, and CORS-preflight fetch
		var names []string
		for _, name := range s.fields {
			names = append(names, strings.ToLower(name))
		}
		slices.Sort(names)
		r := preflight(s.origin, method)
		if names != nil {
			r.Header.Set("Access-Control-Request-Headers", strings.Join(names, ","))
		}
		w := d.do(t, r)
		if err := s.check(w); err != nil {
			return fmt.Errorf("the preflight: %w", err)
		}
		if w.status < 200 || w.status > 299 {
			return fmt.Errorf("the preflight was answered with status %d, must be 2xx", w.status)
		}
		methods := list(w, "Access-Control-Allow-Methods")
		if !safelisted && !slices.Contains(methods, method) && (s.credentials || !slices.Contains(methods, "*")) {
			return fmt.Errorf("the preflight's Access-Control-Allow-Methods is %q, and does not hold %s", methods, method)
		}
		fields := fieldsOf(w, "Access-Control-Allow-Headers")
		for _, name := range names {
			if !slices.Contains(fields, name) && (s.credentials || name == "authorization" || !slices.Contains(fields, "*")) {
				return fmt.Errorf("the preflight's Access-Control-Allow-Headers is %q, and does not hold %s", fields, name)
			}
		}
	}
	r := request(method, "Origin", s.origin)
	for _, name := range s.fields {
		r.Header.Set(name, "Bearer token")
	}
	if s.credentials {
		r.Header.Set("Cookie", "session=1")
	}
	return s.check(d.do(t, r))
}

// check is the standard's "CORS check".
func (s script) check(w *answer) error {
	allowed := w.header["Access-Control-Allow-Origin"]
	credentials := strings.Join(w.header["Access-Control-Allow-Credentials"], ", ")
	switch {
	case len(allowed) == 0 && len(w.later["Access-Control-Allow-Origin"]) > 0:
		return fmt.Errorf("Access-Control-Allow-Origin was set when the answer %d had been sent: set it before the handlers behind are called, since they answer", w.status)
	case len(allowed) == 0:
		return fmt.Errorf("there is no Access-Control-Allow-Origin, in an answer %d", w.status)
	case len(allowed) > 1:
		return fmt.Errorf("Access-Control-Allow-Origin is there %d times: %q", len(allowed), allowed)
	case allowed[0] == "*" && !s.credentials:
		return nil
	case allowed[0] == "*":
		return fmt.Errorf("Access-Control-Allow-Origin is \"*\", which a browser does not take when cookies come along")
	case allowed[0] != s.origin:
		return fmt.Errorf("Access-Control-Allow-Origin is %q, and the script is of %s", allowed[0], s.origin)
	case s.credentials && credentials != "true":
		return fmt.Errorf("Access-Control-Allow-Credentials is %q, and cookies come along", credentials)
	}
	return nil
}

// door is an engine with this bouncer, and one behind that wants a token for
// everything but GET, POST and OPTIONS, in front of a handler.
type door struct {
	engine *gin.Engine
	passed atomic.Int64 // how many requests got past this bouncer
}

// open returns a door with this Config, behind those in front.
func open(t *testing.T, c cors.Config, front ...gin.HandlerFunc) *door {
	t.Helper()
	d := &door{engine: gin.New()}
	bouncer, err := cors.New(c)
	require.NoError(t, err, "New(%+v)", c)
	d.engine.Use(front...)
	d.engine.Use(bouncer, func(c *gin.Context) {
		d.passed.Add(1)
		if !slices.Contains([]string{"GET", "POST", "OPTIONS"}, c.Request.Method) && c.GetHeader("Authorization") == "" {
			problem.Abort(c, problem.Details{Status: http.StatusUnauthorized})
		}
	})
	d.engine.Any("/menu", func(c *gin.Context) { c.String(http.StatusOK, "soup") })
	return d
}

// request is a request of the menu, with these names and values in its header.
func request(method string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, "https://api.test/menu", nil)
	for pair := range slices.Chunk(fields, 2) {
		r.Header.Add(pair[0], pair[1])
	}
	return r
}

// preflight is a browser's, before a script's request with this method and the
// fields in these lines.
func preflight(origin, method string, lines ...string) *http.Request {
	r := request("OPTIONS", "Origin", origin, "Access-Control-Request-Method", method)
	for _, line := range lines {
		r.Header.Add("Access-Control-Request-Headers", line)
	}
	return r
}

// show is how a request is told to a learner.
func show(r *http.Request) string {
	text := r.Method + " " + r.URL.Path
	for _, name := range []string{"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} {
		for _, value := range r.Header[name] {
			if len(value) > 60 {
				value = value[:60] + "…"
			}
			text += fmt.Sprintf("\n%s: %s", name, value)
		}
	}
	return text
}

// answer is an answer as it was sent.
type answer struct {
	status int
	header http.Header
	later  http.Header // as it is now, and what was set too late is in it
	body   string
}

// do makes a request, and fails if that panics or does not return.
func (d *door) do(t *testing.T, r *http.Request) *answer {
	t.Helper()
	return call(t, "the handler", func() *answer {
		w := httptest.NewRecorder()
		d.engine.ServeHTTP(w, r)
		return &answer{status: w.Code, header: w.Result().Header, later: w.Header(), body: w.Body.String()}
	})
}

// varies asserts that the answer to r names this field in Vary.
func (d *door) varies(t *testing.T, r *http.Request, name, why string) {
	t.Helper()
	got := fieldsOf(d.do(t, r), "Vary")
	require.Contains(t, got, strings.ToLower(name), "Vary is %q, and must name %s. %s", got, name, why)
}

// refuses asserts that one preflight is allowed, and the other is not: not a
// single field of its answer may say that anything is.
func (d *door) refuses(t *testing.T, good, bad *http.Request, rule string, args ...any) {
	t.Helper()
	rule = fmt.Sprintf(rule, args...)
	w := d.do(t, good)
	require.NotEmpty(t, w.header.Get("Access-Control-Allow-Origin"), "%s\nwas answered with status %d and no Access-Control-Allow-Origin, and is allowed: %s", show(good), w.status, rule)
	w = d.do(t, bad)
	for name, value := range w.header {
		require.False(t, strings.HasPrefix(name, "Access-Control-"), "%s\nwas answered with %s: %s, and must be refused: %s. A preflight that is refused gets no field that allows anything", show(bad), name, value, rule)
	}
}

// list is a field of an answer that is a list.
func list(w *answer, name string) (all []string) {
	for _, line := range w.header[name] {
		for element := range strings.SplitSeq(line, ",") {
			all = append(all, strings.TrimSpace(element))
		}
	}
	return all
}

// fieldsOf is a list of names of fields, in lower case.
func fieldsOf(w *answer, name string) []string {
	all := list(w, name)
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	return all
}

// stuck is set when something has not returned, so that all that comes after need
// not be waited for as long.
var stuck atomic.Bool

// call returns what f returns, and fails if it panics or takes more than a second
// of this program: the time that a busy machine lets it stand still does not count.
func call[T any](t *testing.T, what string, f func() T) (v T) {
	t.Helper()
	var panicked string
	done := make(chan T, 1)
	go func() {
		var v T
		defer func() {
			if p := recover(); p != nil {
				panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			done <- v
		}()
		v = f()
	}()
	patience := 100
	if stuck.Load() {
		patience = 20
	}
	for range patience {
		select {
		case v := <-done:
			require.Empty(t, panicked, "%s panicked", what)
			return v
		case <-time.After(10 * time.Millisecond):
		}
	}
	stuck.Store(true)
	require.Fail(t, "it did not return", "%s must return at once", what)
	return v
}

// BenchmarkCORS shows what this bouncer adds to bare gin.
func BenchmarkCORS(b *testing.B) {
	bouncer, err := cors.New(house)
	require.NoError(b, err)
	for _, bench := range []struct {
		name     string
		handlers []gin.HandlerFunc
		request  *http.Request
	}{
		{"bare", nil, request("GET")},
		{"same_origin", []gin.HandlerFunc{bouncer}, request("GET")},
		{"other_origin", []gin.HandlerFunc{bouncer}, request("GET", "Origin", "https://www.partner.test")},
		{"preflight", []gin.HandlerFunc{bouncer}, preflight("https://www.partner.test", "PUT", "authorization,content-type")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			engine := gin.New()
			engine.Use(bench.handlers...)
			engine.Any("/menu", func(*gin.Context) {})
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				clear(w.Header())
				engine.ServeHTTP(w, bench.request)
			}
		})
	}
}
