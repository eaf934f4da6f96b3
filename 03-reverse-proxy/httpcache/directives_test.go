package httpcache_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/httpcache"
)

func TestParseDirectives(t *testing.T) {
	for _, row := range []struct {
		is    string
		lines []string
		want  httpcache.Directives
	}{
		{"nothing", nil, httpcache.Directives{}},
		{"an empty line", []string{""}, httpcache.Directives{}},
		{"one", []string{"no-store"}, httpcache.Directives{"no-store": ""}},
		{"an argument", []string{"max-age=60"}, httpcache.Directives{"max-age": "60"}},
		{"several", []string{"public, max-age=60,no-transform"}, httpcache.Directives{"public": "", "max-age": "60", "no-transform": ""}},
		{"several lines", []string{"public", "max-age=60"}, httpcache.Directives{"public": "", "max-age": "60"}},
		{"empty elements", []string{" ,, public ,\t,max-age=60, "}, httpcache.Directives{"public": "", "max-age": "60"}},
		{"capitals", []string{"No-StOrE, MaX-aGe=60"}, httpcache.Directives{"no-store": "", "max-age": "60"}},
		{"quotes", []string{`max-age="60"`}, httpcache.Directives{"max-age": "60"}},
		{"quotes around a comma", []string{`no-cache="set-cookie, x-a", max-age=1`}, httpcache.Directives{"no-cache": "set-cookie, x-a", "max-age": "1"}},
		{"quotes around a directive", []string{`ext="max-age=3600", max-age=1`}, httpcache.Directives{"ext": "max-age=3600", "max-age": "1"}},
		{"quotes around a directive, behind", []string{`max-age=1, ext="max-age=3600"`}, httpcache.Directives{"ext": "max-age=3600", "max-age": "1"}},
		{"a quote in quotes", []string{`ext="a\", no-store, \\", public`}, httpcache.Directives{"ext": `a", no-store, \`, "public": ""}},
		{"quotes around nothing", []string{`no-cache=""`}, httpcache.Directives{"no-cache": ""}},
		{"twice: the first counts", []string{"max-age=1, max-age=60", "max-age=3"}, httpcache.Directives{"max-age": "1"}},
		{"no-cache twice: both count", []string{`no-cache="a", no-cache="b"`}, httpcache.Directives{"no-cache": "a,b"}},
		{"private with a field and without", []string{`private="a", private`}, httpcache.Directives{"private": ""}},
		{"private without a field and with", []string{`private`, `private="a"`}, httpcache.Directives{"private": ""}},

		{"a blank before =", []string{"max-age =60, public"}, httpcache.Directives{"max-age": "?", "public": ""}},
		{"a blank behind =", []string{"max-age= 60, public"}, httpcache.Directives{"max-age": "?", "public": ""}},
		{"a blank for =", []string{"max-age 60, public"}, httpcache.Directives{"max-age": "?", "public": ""}},
		{"a colon for =", []string{"max-age:60, public"}, httpcache.Directives{"max-age": "?", "public": ""}},
		{"semicolons for commas", []string{"max-age=60; public"}, httpcache.Directives{"max-age": "?"}},
		{"no argument behind =", []string{"max-age=, public"}, httpcache.Directives{"max-age": "?", "public": ""}},
		{"something behind the quotes", []string{`max-age="60"0, public`}, httpcache.Directives{"max-age": "?", "public": ""}},
		{"quotes without end", []string{`private="x, no-store`}, httpcache.Directives{"private": "?", "no-store": ""}},
		{"quotes whose end is escaped", []string{`private="x\", no-store`}, httpcache.Directives{"private": "?", "no-store": ""}},
		{"no name", []string{`=60, "public", &&@, max-age=1`}, httpcache.Directives{"&&": "?", "max-age": "1"}},
		{"octets that are no text", []string{"\xff\x00, max-age=\xff, public"}, httpcache.Directives{"max-age": "?", "public": ""}},
	} {
		t.Run(row.is, func(t *testing.T) {
			assert.Equal(t, row.want, httpcache.ParseDirectives(row.lines), "Cache-Control: %q", row.lines)
		})
	}
}

func TestSeconds(t *testing.T) {
	for argument, want := range map[string]time.Duration{
		"0":                      0,
		"60":                     time.Minute,
		"003600":                 time.Hour,
		"2147483647":             (1<<31 - 1) * time.Second,
		"2147483648":             1 << 31 * time.Second,
		"2147483649":             1 << 31 * time.Second,
		"99999999999":            1 << 31 * time.Second,
		strings.Repeat("9", 500): 1 << 31 * time.Second,
	} {
		got, ok := httpcache.Directives{"max-age": argument}.Seconds("max-age")
		assert.True(t, ok, "max-age=%s is a number", argument)
		assert.Equal(t, want, got, "max-age=%s (RFC 9111 §1.2.2)", argument)
	}
	for _, argument := range []string{"", "-1", "+1", "1.0", "1.5", "60a", "a60", "'60'", " 60", "60 ", "0x3c", "1e3", "1_000", "６０", "?"} {
		got, ok := httpcache.Directives{"max-age": argument}.Seconds("max-age")
		assert.False(t, ok, "max-age=%q is no number of seconds (RFC 9111 §1.2.2)", argument)
		assert.Zero(t, got, "max-age=%q", argument)
	}
	_, ok := httpcache.Directives(nil).Seconds("max-age")
	assert.False(t, ok, "no directives at all")
}

func TestUnqualified(t *testing.T) {
	for line, want := range map[string]bool{
		"max-age=1":                  false,
		"private":                    true,
		`private=""`:                 true,
		`private=","`:                true,
		`private="x-user"`:           false,
		`private=x-user`:             false,
		`private=" x-user ,,x-name"`: false,
		`private="x-user, not one"`:  true,
		`private="x-user, no:name"`:  true,
		`private ="x-user"`:          true,
		`private="x-user`:            true,
		`private="x-user", private`:  true,
	} {
		assert.Equal(t, want, httpcache.ParseDirectives([]string{line}).Unqualified("private"), "Cache-Control: %s: is it about the whole response (RFC 9111 §5.2.2.7)?", line)
	}
}

func TestWithheld(t *testing.T) {
	for line, want := range map[string][]string{
		"private, no-cache":                            nil,
		`private="x-user"`:                             {"X-User"},
		`no-cache="set-cookie, x-a", private=X-USER`:   {"Set-Cookie", "X-A", "X-User"},
		`no-cache="set-cookie", private`:               {"Set-Cookie"},
		`no-cache="set-cookie,", private="not a name"`: {"Set-Cookie"},
	} {
		assert.Equal(t, want, httpcache.ParseDirectives([]string{line}).Withheld(), "Cache-Control: %s", line)
	}
}

func TestResponseDirectives(t *testing.T) {
	const control = "max-age=1, no-store"
	for _, row := range []struct {
		is    string
		lines []string
		want  httpcache.Directives // nil: those of Cache-Control
	}{
		{"a number", []string{"max-age=60"}, httpcache.Directives{"max-age": "60"}},
		{"a large number", []string{"max-age=99999999999"}, httpcache.Directives{"max-age": "99999999999"}},
		{"a negative number", []string{"max-age=-1"}, httpcache.Directives{"max-age": "-1"}},
		{"names alone", []string{"private, no-store"}, httpcache.Directives{"private": "", "no-store": ""}},
		{"several lines", []string{"public", "max-age=60"}, httpcache.Directives{"public": "", "max-age": "60"}},
		{"blanks", []string{"  public \t,\t max-age=60 \t "}, httpcache.Directives{"public": "", "max-age": "60"}},
		{"true", []string{"no-store=?1"}, httpcache.Directives{"no-store": ""}},
		{"field names", []string{`no-cache="set-cookie, x-a", private=x-user`}, httpcache.Directives{"no-cache": "set-cookie, x-a", "private": "x-user"}},
		{"a quote in quotes", []string{`ext="a\"\\b"`}, httpcache.Directives{"ext": `a"\b`}},
		{"twice: the last counts", []string{"max-age=1, max-age=60"}, httpcache.Directives{"max-age": "60"}},
		{"twice: the type of the last counts", []string{`max-age="x", max-age=60`}, httpcache.Directives{"max-age": "60"}},
		{"parameters", []string{`max-age=60;a;b=?0; *c="x", public;q=1.5`}, httpcache.Directives{"max-age": "60", "public": ""}},
		{"extensions of all types", []string{`a=1.5, b=(1 "x" y;p=1  :aGk=:);z, c=:aGk=:, d=@-5, e=%"f%c3%bc", f=?0, g=*t:/x, h=(), max-age=60`},
			httpcache.Directives{"a": "?", "b": "?", "c": "?", "d": "?", "e": "?", "f": "?", "g": "*t:/x", "h": "?", "max-age": "60"}},

		{"absent", nil, nil},
		{"empty", []string{""}, nil},
		{"blank", []string{"  "}, nil},
		{"a comma at the end", []string{"max-age=60,"}, nil},
		{"an empty element", []string{"max-age=60,,public"}, nil},
		{"no comma", []string{"public max-age=60"}, nil},
		{"what is no member", []string{"max-age=60, &&&&&"}, nil},
		{"a capital", []string{"MaX-aGe=60"}, nil},
		{"a blank before =", []string{"max-age =60"}, nil},
		{"a blank behind =", []string{"max-age= 60"}, nil},
		{"nothing behind =", []string{"max-age="}, nil},
		{"a number in quotes", []string{`max-age="60"`}, nil},
		{"a number with a fraction", []string{"max-age=60.0"}, nil},
		{"a name for a number", []string{"max-age"}, nil},
		{"a number for a name", []string{"no-store=1"}, nil},
		{"false", []string{"no-store=?0"}, nil},
		{"a number of 16 digits", []string{"max-age=1000000000000000"}, nil},
		{"a sign alone", []string{"max-age=-"}, nil},
		{"a plus", []string{"max-age=+60"}, nil},
		{"quotes without end", []string{`ext="x`}, nil},
		{"an escaped letter", []string{`ext="\x"`}, nil},
		{"letters beyond ASCII in quotes", []string{`ext="ü"`}, nil},
		{"a tab at the beginning", []string{"\tmax-age=60"}, nil},
		{"a list without end", []string{"ext=(1 2"}, nil},
		{"a list without blanks", []string{`ext=("a""b")`}, nil},
		{"octets without end", []string{"ext=:aGk="}, nil},
		{"octets that are not base64", []string{"ext=:a=b:"}, nil},
		{"a date with a fraction", []string{"ext=@1.5"}, nil},
		{"neither true nor false", []string{"ext=?2"}, nil},
		{"text that is not UTF-8", []string{`ext=%"%ff"`}, nil},
		{"text with capitals in an escape", []string{`ext=%"%C3%BC"`}, nil},
		{"a parameter without a name", []string{"max-age=60;"}, nil},
		{"a parameter without a value", []string{"max-age=60;a="}, nil},
		{"one type wrong among others", []string{`no-store, max-age="60"`}, nil},
	} {
		t.Run(row.is, func(t *testing.T) {
			h := http.Header{"Cache-Control": {control}, "Cdn-Cache-Control": row.lines}
			if row.lines == nil {
				h.Del("Cdn-Cache-Control")
			}
			got := httpcache.ResponseDirectives(h)
			require.Equal(t, row.want != nil, got.Targeted(), "CDN-Cache-Control: %q: can it be read (RFC 9651 §4.2)? Got %v", row.lines, got)
			if row.want == nil {
				assert.Equal(t, httpcache.ParseDirectives([]string{control}), got, "CDN-Cache-Control: %q cannot be read, so Cache-Control: %s holds (RFC 9213 §2.1)", row.lines, control)
				return
			}
			delete(got, "") // the mark that Targeted looks for
			assert.Equal(t, row.want, got, "CDN-Cache-Control: %q", row.lines)
		})
	}
}

func TestIsToken(t *testing.T) {
	for _, s := range []string{"a", "X-User", "*", "0", "!#$%&'*+-.^_`|~"} {
		assert.True(t, httpcache.IsToken(s), "%q is a token (RFC 9110 §5.6.2)", s)
	}
	for _, s := range []string{"", " ", "a b", "a ", "a:b", "a,b", `"a"`, "a/b", "ü", "a\x00", "@", "[", "{", "\x7f"} {
		assert.False(t, httpcache.IsToken(s), "%q is no token (RFC 9110 §5.6.2)", s)
	}
}

func TestHeuristicallyCacheable(t *testing.T) {
	var got []int
	for status := range 1000 {
		if httpcache.HeuristicallyCacheable(status) {
			got = append(got, status)
		}
	}
	assert.Equal(t, []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}, got, "RFC 9110 §15.1, without 206")
}

func FuzzParseDirectives(f *testing.F) {
	for _, line := range []string{"", "no-store", `max-age="60", public`, `private="a, b"`, `a="x\"`, `a="\",a="\",a="`, " ,=,\xff", "max-age =1"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := httpcache.ParseDirectives([]string{line})
		for name := range d {
			require.True(t, httpcache.IsToken(name) && name == strings.ToLower(name), "%q: %q is a name", line, name)
			require.Contains(t, strings.ToLower(line), name, "a name must come from somewhere")
		}
		if s, ok := d.Seconds("max-age"); ok {
			require.True(t, s >= 0 && s <= httpcache.MaxSeconds, "%q: max-age is %v", line, s)
		}
		require.True(t, httpcache.ParseDirectives([]string{line + ", no-store"}).Has("no-store"), "%q, no-store: nothing before it may hide it", line)
		require.True(t, httpcache.ParseDirectives([]string{line, "no-store"}).Has("no-store"), "%q on a line before no-store must not hide it", line)
		require.True(t, httpcache.ParseDirectives([]string{line, "private"}).Unqualified("private"), "%q on a line before private must not weaken it", line)
		for _, field := range d.Withheld() {
			require.Equal(t, http.CanonicalHeaderKey(field), field, "%q", line)
		}
	})
}

func FuzzResponseDirectives(f *testing.F) {
	number := regexp.MustCompile(`^-?[0-9]{1,15}$`)
	for _, line := range []string{"", "max-age=60", "no-store, private=x;q=1", `e="a\"b", f=("x" y), g=:aGk=:, h=?1`, `d=%"%c3%bc", t=@1`, "max-age=-0.5", "a,", `private="x`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := httpcache.ResponseDirectives(http.Header{"Cdn-Cache-Control": {line}})
		if !d.Targeted() {
			require.Empty(t, d, "%q cannot be read, and there is no Cache-Control", line)
			return
		}
		// Written again in the plainest way, it must be read as the same.
		var members []string
		for name, value := range d {
			switch {
			case name == "":
			case value == "":
				members = append(members, name)
			case number.MatchString(value):
				members = append(members, name+"="+value)
			default:
				members = append(members, name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)+`"`)
			}
		}
		slices.Sort(members)
		again := strings.Join(members, ", ")
		require.Equal(t, d, httpcache.ResponseDirectives(http.Header{"Cdn-Cache-Control": {again}}), "%q, written as %q", line, again)
		require.Empty(t, httpcache.ResponseDirectives(http.Header{"Cdn-Cache-Control": {line + ", ="}}), "%q and a fault behind it", line)
	})
}
