package acceptencoding_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

// row is one question and its answer.
type row struct {
	name   string
	field  string // its lines, one after another with a line break between
	offers string
	want   string // "" where nothing is acceptable, not even identity
	why    string
}

func TestChoose(t *testing.T) {
	run(t, []row{
		{"takes_what_is_listed", "gzip", "gzip", "gzip",
			"The client lists gzip, and gzip is on offer"},
		{"takes_none_that_is_not_listed", "deflate, br", "gzip", "identity",
			"The client lists other codings: it cannot unpack gzip. identity, the content as it is, is acceptable unless the field refuses it"},
		{"takes_none_for_an_empty_field", "", "gzip br", "identity",
			"An empty field says that the client wants no coding"},
		{"weight_zero_is_no", "br, gzip;q=0", "gzip", "identity",
			"Weight 0 means: not acceptable. That gzip stands in the field is not enough"},
		{"part_of_a_name_is_no_name", "gzipped, not-br", "gzip br", "identity",
			"These are other codings, whose names only hold these letters. Compare whole elements"},
		{"takes_the_least_weight_rather_than_none", "gzip;q=0.001", "gzip", "gzip",
			"A weight above 0 says that the client accepts it. identity is not listed here, and so the last resort"},
		{"follows_the_server_among_equals", "gzip, br", "br gzip", "br",
			"Both have weight 1. Among equals the first of the offers wins, wherever it stands in the field: the server knows what is worth its work"},
		{"follows_the_client_where_it_has_a_favourite", "br;q=0.5, gzip;q=0.8", "br gzip", "gzip",
			"gzip has the higher weight. What the server likes better counts among equals only"},
		{"knows_that_no_weight_is_the_highest", "br;q=0.9, gzip", "br gzip", "gzip",
			"Where no weight stands it is 1 (§12.4.2)"},
		{"compares_to_the_third_place", "br;q=0.998, gzip;q=0.999", "br gzip", "gzip",
			"A weight has up to three places behind the point (§12.4.2)"},
	})
}

func TestRefuse(t *testing.T) {
	run(t, []row{
		{"weight_zero_is_no_however_written", "br;q=0.4, gzip;q=0.000", "gzip br", "br",
			"0.000 is 0: not acceptable"},
		{"identity_refused_leaves_nothing", "br, identity;q=0", "gzip", "",
			`identity is refused, and gzip is not listed: nothing that the server has is acceptable. coding is "identity" then, and ok false`},
		{"identity_refused_leaves_nothing_without_offers", "gzip, identity;q=0", "", "",
			`identity is refused, and the server can make no coding. coding is "identity" then, and ok false`},
		{"identity_refused_leaves_the_others", "gzip;q=0.1, identity;q=0", "gzip", "gzip",
			"identity is refused, gzip is not"},
	})
}

func TestIdentity(t *testing.T) {
	run(t, []row{
		{"wins_where_it_is_listed_higher", "gzip;q=0.5, identity", "gzip", "identity",
			"identity is listed, with weight 1, and gzip with 0.5: the client would rather have the content as it is"},
		{"comes_last_among_equals", "identity, gzip", "gzip", "gzip",
			"Both have weight 1, and identity is behind all offers"},
		{"is_all_there_is_without_offers", "gzip, br", "", "identity",
			"The server can make no coding. identity is acceptable unless the field refuses it"},
	})

	t.Run("is_for_those_who_say_nothing", func(t *testing.T) {
		for _, none := range [][]string{nil, {}} {
			coding, ok := choose(t, none, []string{"br", "gzip"})
			require.Equal(t, said("identity", true), said(coding, ok), "as in: no line of Accept-Encoding, offers [br gzip]. Anything would be allowed (RFC 9110 §12.5.3), but who says nothing may be a client that can unpack nothing")
		}
	})
}

func TestStar(t *testing.T) {
	run(t, []row{
		{"stands_for_all_that_are_not_listed", "*", "br gzip", "br",
			`"*" is every coding that is not listed. All have its weight, so the first of the offers wins. identity has that weight, too, but comes behind them`},
		{"gives_its_weight", "gzip;q=0.5, *;q=0.8", "gzip br", "br",
			`br is not listed and has the weight of "*", 0.8; gzip has 0.5`},
		{"is_not_for_those_that_are_listed", "gzip;q=0, *", "gzip", "identity",
			`gzip is listed, and refused. "*" is only for those that are not listed`},
		{"is_not_for_those_that_are_listed_behind_it", "*, gzip;q=0", "gzip", "identity",
			`gzip is listed, and refused. "*" is only for those that are not listed, wherever they stand: read the whole field before you decide`},
		{"refuses_identity_too", "br, *;q=0", "gzip", "",
			`identity is not listed, so "*;q=0" refuses it, like gzip. coding is "identity" then, and ok false`},
		{"gives_its_weight_to_identity_too", "gzip;q=0.3, *;q=0.5", "gzip", "identity",
			`identity is not listed, so it has the weight of "*", 0.5, and gzip has 0.3: the highest weight wins`},
		{"does_not_refuse_a_listed_identity", "*;q=0, identity;q=0.5", "gzip", "identity",
			`"*;q=0" refuses all that are not listed. identity is`},
		{"does_not_accept_an_identity_that_is_refused", "gzip;q=0, identity;q=0, *", "gzip", "",
			`identity is listed, and refused, and so is gzip. "*" is only for those that are not listed: weight 0 is something else than not listed`},
		{"does_not_raise_a_listed_identity", "gzip;q=0.5, identity;q=0.2, *;q=0.8", "gzip", "gzip",
			`identity is listed, with weight 0.2. "*" is only for those that are not listed, so its 0.8 is not for identity`},
	})
}

func TestField(t *testing.T) {
	run(t, []row{
		{"has_names_in_any_case", "GZip;Q=0.8, BR;q=0.5", "br gzip", "gzip",
			"Names of codings, and the q, are the same in any case (§8.4.1). parse sees to it"},
		{"has_spaces_or_none", " br ; q=0.5,gzip\t;\tq=0.8 ", "br gzip", "gzip",
			"Around commas and semicolons may be spaces and tabs. parse sees to it"},
		{"has_empty_elements", ", gzip,, ,br;q=0.5,", "br gzip", "gzip",
			"An element may be empty (§5.6.1.2): it says nothing, and the others count. parse says ok false for it"},
		{"has_an_old_name_for_gzip", "x-gzip", "gzip", "gzip",
			"x-gzip is what gzip was called before (§8.4.1.3). parse sees to it"},
		{"has_several_lines", "br;q=0.5\ngzip;q=0.8\ndeflate", "br gzip", "gzip",
			"A list may stand on several lines (§5.3), and all of them count"},
		{"has_a_star_on_an_earlier_line", "*\ngzip;q=0", "gzip", "identity",
			`The lines are one list, in which gzip is listed, and refused. "*" is only for those that are listed on no line`},
		{"has_an_empty_line_before_another", "\ngzip", "gzip", "gzip",
			"The first line is empty, and says nothing. The second lists gzip: a field is empty only if all of its lines are"},
		{"counts_the_first_of_two", "gzip;q=0, gzip", "gzip", "identity",
			"gzip is listed twice: the first counts, and that refuses it"},
		{"counts_the_first_of_two_even_if_it_is_the_higher", "gzip, gzip;q=0", "gzip", "gzip",
			"gzip is listed twice: the first counts, and that accepts it"},
		{"counts_the_first_of_two_lines", "gzip;q=0\ngzip", "gzip", "identity",
			"gzip is listed twice, on two lines: the first counts, and that refuses it"},
		{"has_elements_that_list_nothing", "gzip;q=2, *", "gzip", "gzip",
			`2 is no weight, so the first element lists nothing: it does not refuse gzip either. gzip is not listed then, and has the weight of "*"`},
	})

	for _, row := range []struct {
		name     string
		elements []string
	}{
		{"has_weights_that_are_none", []string{"gzip;q=", "gzip;q=high", "gzip;q=-1", "gzip;q=NaN", "gzip;q=1e3", "gzip;q=.5", "gzip;q=0,5", "gzip;0.5"}},
		{"has_weights_above_one", []string{"gzip;q=2", "gzip;q=1.001", "gzip;q=10"}},
		{"has_weights_too_exact", []string{"gzip;q=0.1234"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, element := range row.elements {
				field := "br;q=0.1, " + element
				coding, ok := choose(t, []string{field}, []string{"gzip", "br"})
				require.Equal(t, said("br", true), said(coding, ok), "as in: lines %q, offers [gzip br]. What stands behind gzip is no weight (RFC 9110 §12.4.2: 0 to 1, three places at most). An element that cannot be read lists nothing, and br is listed", []string{field})
			}
		})
	}
}

// The examples of RFC 9110 §12.5.3.
func TestRFC(t *testing.T) {
	run(t, []row{
		{"first_example", "compress, gzip", "gzip compress", "gzip", "Both have weight 1"},
		{"second_example", "", "gzip compress", "identity", "No coding is wanted"},
		{"third_example", "*", "gzip compress", "gzip", "All are acceptable"},
		{"fourth_example", "compress;q=0.5, gzip;q=1.0", "compress gzip", "gzip", "gzip is preferred"},
		{"fifth_example", "gzip;q=1.0, identity; q=0.5, *;q=0", "compress gzip", "gzip", "gzip is best, identity second, all else refused"},
		{"fifth_example_without_gzip", "gzip;q=1.0, identity; q=0.5, *;q=0", "compress br", "identity", "gzip is best, identity second, all else refused; there is no gzip"},
	})
}

// The second judge is a library that many programs compress their answers with.
func TestKlauspost(t *testing.T) {
	t.Run("agrees_with_gzhttp", func(t *testing.T) {
		wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(true), gzhttp.PreferZstd(true), gzhttp.MinSize(1))
		require.NoError(t, err)
		judge := wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte("soup"))
		}))
		weights := []string{"", ";q=0", ";q=0.25", "; q=0.8", ";q=1.000", " absent"}
		for _, a := range weights {
			for _, b := range weights {
				for _, names := range [][2]string{{"gzip", "zstd"}, {"zstd", "gzip"}} {
					field := names[0] + a + ", br, " + names[1] + b
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.Header.Set("Accept-Encoding", field)
					w := httptest.NewRecorder()
					judge.ServeHTTP(w, r)
					want := w.Result().Header.Get("Content-Encoding")
					if want == "" {
						want = "identity"
					}
					coding, ok := choose(t, []string{field}, []string{"zstd", "gzip"})
					require.Equal(t, said(want, true), said(coding, ok), "as in: lines [%q], offers [zstd gzip]. The wanted one is what klauspost/compress/gzhttp chose", field)
				}
			}
		}
	})
}

// FuzzChoose says something that can be sent, whatever the field.
func FuzzChoose(f *testing.F) {
	f.Add("gzip;q=0.5, *;q=0", "")
	f.Add("identity;q=0,,br ; q=1.000", "gzip")
	f.Fuzz(func(t *testing.T, first, second string) {
		lines, offers := []string{first, second}, []string{"zstd", "br", "gzip"}
		coding, ok := choose(t, lines, offers)
		require.Contains(t, append(offers, "identity"), coding, "as in: lines %q, offers %v. That is neither an offer nor identity", lines, offers)
		if !ok {
			assert.Equal(t, "identity", coding, "as in: lines %q, offers %v. Where nothing is acceptable the coding is identity", lines, offers)
		}
	})
}

func BenchmarkChoose(b *testing.B) {
	for name, lines := range map[string][]string{
		"browser": {"gzip, deflate, br, zstd"},
		"weights": {"br;q=1.0, gzip;q=0.8, *;q=0.1"},
		"none":    nil,
	} {
		b.Run(name, func(b *testing.B) {
			offers := []string{"zstd", "br", "gzip"}
			b.ReportAllocs()
			for b.Loop() {
				acceptencoding.Choose(lines, offers)
			}
		})
	}
}

// said is what Choose returned, in words.
func said(coding string, ok bool) string {
	if coding == "" {
		coding = "an empty string"
	}
	return fmt.Sprintf("%s, %t", coding, ok)
}

func run(t *testing.T, rows []row) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			want := said(row.want, true)
			if row.want == "" {
				want = said(acceptencoding.Identity, false)
			}
			lines := strings.Split(row.field, "\n")
			coding, ok := choose(t, lines, strings.Fields(row.offers))
			assert.Equal(t, want, said(coding, ok), "as in: lines %q, offers [%s]. %s (RFC 9110 §12.5.3)", lines, row.offers, row.why)
		})
	}
}

// choose is Choose, which must come back, and neither panic nor change what it is given.
func choose(t *testing.T, lines, offers []string) (coding string, ok bool) {
	t.Helper()
	input := fmt.Sprintf("as in: lines %q, offers %q", lines, offers)
	wereLines, wereOffers := slices.Clone(lines), slices.Clone(offers)
	done := make(chan string, 1)
	go func() {
		fault := ""
		defer func() {
			if p := recover(); p != nil {
				fault = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
			}
			done <- fault
		}()
		coding, ok = acceptencoding.Choose(lines, offers)
	}()
	for range 100 { // a second of this program: the time that a busy machine stands still does not count
		select {
		case fault := <-done:
			require.Empty(t, fault, "%s. Choose must not panic, whatever a client sends", input)
			require.Equal(t, wereLines, lines, "%s. Choose has changed the lines, which are the request's: others read them, too", input)
			require.Equal(t, wereOffers, offers, "%s. Choose has changed the offers, which are the same for all requests: to sort them, take a copy", input)
			return coding, ok
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.FailNow(t, "Choose has not returned after a second", input)
	return "", false
}
