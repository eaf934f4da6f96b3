package representation_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/munnerz/goautoneg"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/07-response-observability/exercise/representation"
)

// row is one question and its answer. In offers, json and xml stand for the media
// types of these names.
type row struct {
	name   string
	field  string // its lines, with a line break between them
	offers string
	want   string
	why    string
}

func TestChoose(t *testing.T) {
	run(t, []row{
		{"takes_what_is_listed", "application/xml", "json xml", "xml",
			"The client lists XML, and XML is on offer"},
		{"part_of_a_name_is_no_name", "application/atom+xml, application/json", "json xml", "json",
			"application/atom+xml is another type, whose name only holds these letters: a feed, and no order"},
		{"follows_the_client_where_it_has_a_favourite", "application/json;q=0.5, application/xml;q=0.8", "json xml", "xml",
			"XML has the higher weight. That the other one stands first in the field, or that the server likes it better, counts for nothing"},
		{"knows_that_no_weight_is_the_highest", "application/json;q=0.9, application/xml", "json xml", "xml",
			"Where no weight stands it is 1 (§12.4.2)"},
		{"compares_to_the_third_place", "application/json;q=0.998, application/xml;q=0.999", "json xml", "xml",
			"A weight has up to three places behind the point (§12.4.2)"},
		{"follows_the_server_among_equals", "application/xml, application/json", "json xml", "json",
			"Both have weight 1. Among equals the first of the offers wins, wherever it stands in the field"},
		{"takes_the_least_weight_rather_than_none", "text/html, application/xml;q=0.001", "json xml", "xml",
			"A weight above 0 says that the client accepts it"},
	})

	t.Run("a_client_that_says_nothing_gets_the_first", func(t *testing.T) {
		for _, lines := range [][]string{nil, {}, {""}} {
			said := choose(t, lines, "json xml")
			require.Equal(t, "json", said, "as in: lines %q, offers [json xml]. A client that lists nothing takes everything, so the server's favourite it is (RFC 9110 §12.5.1)", lines)
		}
	})
}

func TestRanges(t *testing.T) {
	run(t, []row{
		{"anything_is_the_first_offer", "*/*", "json xml", "json",
			`"*/*" gives all offers its weight, and among equals the first of them wins`},
		{"a_family_is_each_of_its_types", "text/*, application/*;q=0.5", "json text/csv", "text/csv",
			`"text/*" is every type of text, with weight 1; JSON has the 0.5 of "application/*"`},
		{"what_is_named_overrules_anything", "*/*, application/json;q=0.1", "json xml", "xml",
			`"application/json" is more exact than "*/*" and gives JSON 0.1. XML, which no other range covers, has the 1 of "*/*"`},
		{"what_is_named_overrules_anything_also_upwards", "*/*;q=0.1, application/xml;q=0.5", "json xml", "xml",
			`XML is named, with 0.5. JSON has the 0.1 of "*/*": a range that covers both is no reason to take the first`},
		{"what_is_named_overrules_its_family", "application/*, application/json;q=0.1", "json xml", "xml",
			`"application/json" is more exact than "application/*", and gives JSON 0.1`},
		{"a_family_overrules_anything", "*/*, application/*;q=0.1", "json text/csv", "text/csv",
			`"application/*" is more exact than "*/*", and gives JSON 0.1`},
		{"what_is_exact_may_stand_behind", "*/*;q=0.9, application/*;q=0.8, application/json;q=0.1, application/xml;q=0.7", "json xml", "xml",
			"Wherever a range stands, the most exact one counts: JSON has 0.1, and XML 0.7. Read the whole field before you decide"},
		{"what_is_exact_may_stand_in_front", "application/json;q=0.1, application/xml;q=0.7, */*;q=0.9", "json xml", "xml",
			`The last range is less exact than both: it must not take their place`},
		{"a_parameter_is_more_exact", "text/plain;q=0.2, text/plain;format=flowed;q=0.9, text/csv;q=0.5", "text/csv text/plain;format=flowed", "text/plain;format=flowed",
			"The offer has the parameter that the range names, so this range counts, with 0.9"},
		{"a_parameter_is_for_those_that_have_it", "text/plain;q=0.2, text/plain;format=flowed;q=0.9, text/csv;q=0.5", "text/plain text/csv", "text/csv",
			`The offer text/plain does not have the parameter, so "text/plain;format=flowed" does not cover it: it has 0.2`},
		{"the_higher_of_two_that_are_the_same", "application/xml;q=0.3, application/xml;q=0.8, application/json;q=0.5", "json xml", "xml",
			"Among equally exact ranges, the highest weight counts: XML has 0.8. (The RFC does not say; the doc comment does)"},
		{"the_higher_of_two_that_are_the_same_also_in_front", "application/xml;q=0.8, application/xml;q=0.3, application/json;q=0.5", "json xml", "xml",
			"Among equally exact ranges, the highest weight counts, and not the last: XML has 0.8"},
		{"the_higher_of_two_that_are_the_same_also_above_zero", "application/xml;q=0, application/xml;q=0.8, application/json;q=0.5", "json xml", "xml",
			"Among equally exact ranges, the highest weight counts, and 0 is one like any other here: XML has 0.8"},
		{"what_is_named_is_not_liked_better_for_it", "application/xml, */*", "json xml", "json",
			`Both have weight 1: XML by its name, JSON by "*/*". How exact a range is decides which range counts for an offer. Between offers only weights count, and among equals the first of the offers wins`},
		{"a_type_is_itself_with_parameters", "text/plain, text/csv;q=0.5", "text/csv text/plain;format=flowed", "text/plain;format=flowed",
			`"text/plain" covers the offer, with whatever parameters, and gives it 1`},
		{"two_parameters_are_more_exact_than_one", "text/plain;a=1;b=2;q=0.2, text/plain;a=1, text/csv;q=0.5", "text/plain;a=1;b=2 text/csv", "text/csv",
			`Each parameter counts one: "text/plain;a=1;b=2" names more than "text/plain;a=1", so text/plain;a=1;b=2 has its 0.2`},
		{"a_parameter_is_more_exact_than_a_zero", "text/plain;q=0, text/plain;format=flowed, text/csv;q=0.5", "text/csv text/plain;format=flowed", "text/plain;format=flowed",
			`"text/plain;q=0" refuses all plain text that no more exact range names. One does, with 1. Read the whole field before you decide`},
		{"a_browser_gets_xml", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "json xml", "xml",
			`This is what browsers send. They name XML, with 0.9, and JSON has the 0.8 of "*/*"`},
	})
}

// What is refused. Each field takes something else, which is put on offer afterwards.
func TestRefuse(t *testing.T) {
	for _, row := range []struct{ name, field, offers, also, why string }{
		{"what_is_not_listed", "text/html, image/*", "json xml", "text/html",
			"No range covers JSON or XML: nothing that the server has is acceptable"},
		{"weight_zero", "application/json;q=0, text/html", "json", "text/html",
			"Weight 0 means: not acceptable. That JSON stands in the field is not enough"},
		{"weight_zero_however_written", "application/json;q=0.000, text/html", "json", "text/html",
			"0.000 is 0: not acceptable"},
		{"weight_zero_in_front_of_anything", "application/json;q=0, application/xml;q=0, */*;q=0.5", "json xml", "text/html",
			`"*/*" covers them, too, but a type that is named has its own weight, and that is 0`},
		{"weight_zero_behind_anything", "*/*, application/json;q=0, application/xml;q=0", "json xml", "text/html",
			`"*/*" covers them, too, but a type that is named has its own weight, and that is 0`},
		{"a_whole_family", "application/*;q=0, */*", "json xml", "text/html",
			`"application/*" is more exact than "*/*"`},
		{"everything_but_one", "*/*;q=0, text/html", "json xml", "text/html",
			`"*/*;q=0" refuses all that is not named`},
		{"another_parameter", "text/plain;format=fixed, text/html", "text/plain;format=flowed", "text/html",
			"The offer has another value of this parameter"},
	} {
		t.Run(row.name, func(t *testing.T) {
			lines := []string{row.field}
			require.Equal(t, short(row.also), choose(t, lines, row.offers+" "+row.also), "as in: lines %q, offers [%s %s]. The last one is listed, and nothing else is acceptable. %s (RFC 9110 §12.5.1)", lines, row.offers, row.also, row.why)
			assert.Equal(t, nothing, choose(t, lines, row.offers), "as in: lines %q, offers [%s]. %s (RFC 9110 §12.5.1). mediaType is empty then, and ok false", lines, row.offers, row.why)
		})
	}
}

func TestField(t *testing.T) {
	run(t, []row{
		{"has_names_in_any_case", "Application/JSON;Q=0.5, APPLICATION/XML;q=0.8", "json xml", "xml",
			"Types, and the q, are the same in any case (§8.3.1). ranges sees to it"},
		{"has_spaces_or_none", " application/json ; q=0.5,application/xml\t;\tq=0.8 ", "json xml", "xml",
			"Around commas and semicolons may be spaces and tabs. ranges sees to it"},
		{"has_empty_elements", ", application/xml,, ,application/json;q=0.5,", "json xml", "xml",
			"An element may be empty (§5.6.1.2): it says nothing, and the others count. ranges sees to it"},
		{"has_several_lines", "application/json;q=0.5\napplication/xml;q=0.8\ntext/html", "json xml", "xml",
			"A list may stand on several lines (§5.3), and all of them count"},
		{"has_commas_in_quotes", `text/plain;a="x, application/json", application/xml;q=0.5`, "json xml", "xml",
			"A comma in a quoted string is a part of it (§5.6.4): JSON is not listed here. ranges sees to it"},
		{"has_a_weight_anywhere", "application/json;q=0.5;a=b, application/json;q=0.1, application/xml;q=0.3", "json xml", "xml",
			"A parameter q is the weight, wherever it stands; what is behind it is a parameter like any other, and no JSON here has that. ranges sees to it"},
		{"has_a_charset", "application/xml;charset=UTF-8, application/json;q=0.5", "json xml", "xml",
			"All offers are UTF-8, so to ask for that changes nothing. ranges sees to it"},
		{"has_elements_that_list_nothing", "application/json;q=2, application/xml;q=0.5, */*;q=0.1", "json xml", "xml",
			`2 is no weight, so the first element lists nothing, and JSON has the 0.1 of "*/*". What ranges returns is all that counts`},
		{"has_elements_that_refuse_nothing", "json;q=0, */json;q=0, application/json;q=-0, */*", "json xml", "json",
			"None of the first three can be read, so they refuse nothing. What ranges returns is all that counts"},
		{"has_nothing_that_can_be_read", "json, xml;q=0.5, ;;", "json xml", "json",
			"Where nothing can be read, nothing is listed, and a client that lists nothing takes everything"},
	})
}

// RFC 9110 §12.5.1 has an example with a table, which gives each type a weight. The
// one that wins is taken off the offers, until none is left.
func TestRFC(t *testing.T) {
	run(t, []row{
		{"first_example", "audio/*; q=0.2, audio/basic", "audio/mpeg audio/basic", "audio/basic",
			"The client prefers audio/basic, and takes any other audio at a fifth of the quality"},
		{"second_example", "text/plain; q=0.5, text/html,\ntext/x-dvi; q=0.8, text/x-c", "text/plain text/x-dvi text/x-c", "text/x-c",
			"text/html and text/x-c are preferred equally, then text/x-dvi, and then text/plain"},
	})

	t.Run("the_table", func(t *testing.T) {
		lines := []string{"text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed,", "text/plain;format=fixed;q=0.4, */*;q=0.5"}
		offers := []string{"text/html", "text/plain;format=fixed", "image/jpeg", "text/plain", "text/plain;format=flowed"}
		weights := []string{"0.3", "0.4", "0.5", "0.7", "1"}
		for n := len(offers); n > 0; n-- {
			all := strings.Join(offers[:n], " ")
			require.Equal(t, offers[n-1], choose(t, lines, all), "as in: lines %q, offers [%s]. Their weights are %v, says the table in RFC 9110 §12.5.1", lines, all, weights[:n])
		}
	})
}

// The second judge is the library that Prometheus negotiates by. It takes the ranges by
// weight, and knows nothing of what is more exact, so it is asked only where that makes
// no difference: all weights differ, and "*/*" has the least.
func TestGoautoneg(t *testing.T) {
	t.Run("agrees", func(t *testing.T) {
		offers := []string{representation.JSON, representation.XML, "text/csv"}
		weights := []string{"", ";q=0.9", "; q=0.35", ";q=0.1"}
		for i := range 256 {
			w := [4]int{i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6}
			if w[3] < max(w[0], w[1], w[2]) || w[0] == w[1] || w[0] == w[2] || w[1] == w[2] || w[3] == w[0] || w[3] == w[1] || w[3] == w[2] {
				continue
			}
			field := fmt.Sprintf("text/csv%s, application/xml%s, image/png%s, */*%s", weights[w[0]], weights[w[1]], weights[w[2]], weights[w[3]])
			want := goautoneg.Negotiate(field, offers)
			require.Equal(t, short(want), choose(t, []string{field}, strings.Join(offers, " ")), "as in: lines [%q], offers %v. The wanted one is what goautoneg chose", field, offers)
		}
	})
}

// FuzzChoose chooses one of the offers, or none, whatever the field.
func FuzzChoose(f *testing.F) {
	f.Add("text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed", "*/*;q=0.5")
	f.Add("application/xml;q=0,,\"", ";q=1, */*;q=1.000")
	f.Fuzz(func(t *testing.T, first, second string) {
		lines := []string{first, second}
		if said := choose(t, lines, "json xml"); said != nothing {
			require.Contains(t, []string{"json", "xml"}, said, "as in: lines %q, offers [json xml]. That is none of them", lines)
		}
		require.Equal(t, "json", choose(t, []string{"application/json", "text/html;q=0.5"}, "xml json"), "as in: a client that lists JSON")
	})
}

func TestNegotiate(t *testing.T) {
	t.Run("answers_in_the_form_that_is_wanted", func(t *testing.T) {
		a := ask(t, http.MethodGet, "application/xml")
		require.Equal(t, representation.XML, a.mediaType, "GET with Accept: application/xml: what Negotiate returned. It is what Choose chooses among Forms()")
		require.True(t, a.ok, "GET with Accept: application/xml: ok. There is an answer, and it is the caller's to write")
		assert.Equal(t, representation.JSON, ask(t, http.MethodGet, "application/json").mediaType, "GET with Accept: application/json: what Negotiate returned")
	})

	t.Run("reads_all_lines_of_the_field", func(t *testing.T) {
		a := ask(t, http.MethodGet, "application/json;q=0.5", "application/xml")
		assert.Equal(t, representation.XML, a.mediaType, "GET with two lines, Accept: application/json;q=0.5 and Accept: application/xml: what Negotiate returned. Header.Get returns the first line only; r.Header[\"Accept\"] are all of them (RFC 9110 §5.3)")
	})

	t.Run("says_that_the_answer_depends_on_Accept", func(t *testing.T) {
		for _, accept := range []string{"application/xml", "application/json", "*/*"} {
			a := ask(t, http.MethodGet, accept)
			require.True(t, varies(a.header, "Accept"), "GET with Accept: %s: Vary is %q, and must name Accept. Without it, a cache gives this answer to a client that wants the other form. (Accept-Encoding is another field.) (RFC 9110 §12.5.5)", accept, a.header["Vary"])
		}
	})

	t.Run("says_so_to_a_client_without_Accept", func(t *testing.T) {
		a := ask(t, http.MethodGet)
		assert.True(t, varies(a.header, "Accept"), "GET without Accept: Vary is %q, and must name Accept. Other clients do send it, and get another answer", a.header["Vary"])
	})

	t.Run("says_so_whatever_the_method", func(t *testing.T) {
		for _, method := range append([]string{http.MethodHead}, doing...) {
			a := ask(t, method, "application/xml")
			require.True(t, varies(a.header, "Accept"), "%s with Accept: application/xml: Vary is %q, and must name Accept, as in the answer to a GET: this one, too, has the form that Accept asked for (RFC 9110 §12.5.5)", method, a.header["Vary"])
		}
	})

	t.Run("keeps_what_Vary_has_named", func(t *testing.T) {
		a := ask(t, http.MethodGet, "application/xml")
		require.True(t, varies(a.header, "Accept"), "GET with Accept: application/xml: Vary is %q, and must name Accept (RFC 9110 §12.5.5)", a.header["Vary"])
		for _, was := range []string{"Accept-Encoding", "Origin"} {
			require.True(t, varies(a.header, was), "GET, and Vary had two lines before, Accept-Encoding and Origin: now it is %q, without %s. Others have put that there, an edge and cors, and the answer still depends on it: Header.Set takes it away, and Header.Get knows of the first line only", a.header["Vary"], was)
		}
	})

	t.Run("gives_what_is_done_in_the_form_that_is_wanted", func(t *testing.T) {
		for _, method := range doing {
			a := ask(t, method, "application/xml")
			require.Equal(t, said(representation.XML, true), said(a.mediaType, a.ok), "%s with Accept: application/xml: what Negotiate returned. Where a form is acceptable, every method is negotiated like a GET", method)
		}
	})

	t.Run("refuses_with_406_where_nothing_is_acceptable", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := ask(t, method, "text/html")
			require.Equal(t, http.StatusNotAcceptable, a.status, "%s with Accept: text/html: the status. There is no form that this client can read (RFC 9110 §15.5.7). refuse says it", method)
		}
	})

	t.Run("leaves_nothing_to_write_behind_a_406", func(t *testing.T) {
		a := ask(t, http.MethodGet, "text/html")
		require.Equal(t, http.StatusNotAcceptable, a.status, "GET with Accept: text/html: the status (RFC 9110 §15.5.7)")
		assert.Equal(t, nothing, said(a.mediaType, a.ok), "GET with Accept: text/html: what Negotiate returned. The 406 is the answer, and the caller must not write another one: mediaType is empty, and ok false")
	})

	t.Run("says_so_by_a_problem", func(t *testing.T) {
		a := ask(t, http.MethodGet, "text/html")
		require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), "GET with Accept: text/html: the Content-Type of the 406. refuse writes a problem (RFC 9457)")
		var p struct{ Detail string }
		require.NoError(t, json.Unmarshal([]byte(a.body), &p), "GET with Accept: text/html: the body of the 406 is %q", a.body)
		assert.Contains(t, p.Detail, representation.XML, "GET with Accept: text/html: the detail of the 406, which says what there is (RFC 9110 §15.5.7)")
	})

	t.Run("says_of_a_406_too_that_it_depends_on_Accept", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := ask(t, method, "text/html")
			require.Equal(t, http.StatusNotAcceptable, a.status, "%s with Accept: text/html: the status (RFC 9110 §15.5.7)", method)
			require.True(t, varies(a.header, "Accept"), "%s with Accept: text/html: Vary of the 406 is %q, and must name Accept. Another client gets an order under the same URL, so a cache must not give this refusal to it (RFC 9110 §12.5.5)", method, a.header["Vary"])
		}
	})

	t.Run("answers_what_is_done_in_any_form_rather_than_none", func(t *testing.T) {
		for _, method := range doing {
			a := ask(t, method, "text/html")
			require.NotEqual(t, http.StatusNotAcceptable, a.status, "%s with Accept: text/html: the status. What was to be done is done by now: an order is placed, changed or called off. Who gets a 406 believes that it was not, and sends it once more", method)
			require.Equal(t, said(representation.JSON, true), said(a.mediaType, a.ok), "%s with Accept: text/html: what Negotiate returned. What was to be done is done by now, so the answer has the first form, whatever the client accepts (RFC 9110 §12.4.1 leaves that to the server)", method)
		}
	})

	t.Run("says_of_the_first_form_too_that_it_depends_on_Accept", func(t *testing.T) {
		for _, method := range doing {
			a := ask(t, method, "text/html")
			require.True(t, varies(a.header, "Accept"), "%s with Accept: text/html: Vary is %q, and must name Accept. The answer has the first form since Accept was read, and allowed none (RFC 9110 §12.5.5)", method, a.header["Vary"])
		}
	})
}

func TestWrite(t *testing.T) {
	t.Run("names_the_form_that_it_has", func(t *testing.T) {
		a := get(t, "application/xml", soup())
		require.Equal(t, "application/xml; charset=utf-8", a.header.Get("Content-Type"), "GET with Accept: application/xml: the Content-Type. Write asks Negotiate for the form")
		a = get(t, "application/json", soup())
		assert.Equal(t, "application/json", a.header.Get("Content-Type"), "GET with Accept: application/json: the Content-Type. JSON is UTF-8 always, and has no parameter for it (RFC 8259 §11)")
	})

	t.Run("sends_an_order_as_JSON", func(t *testing.T) {
		a := get(t, "application/json", soup())
		want, err := json.Marshal(soup())
		require.NoError(t, err)
		require.JSONEq(t, string(want), orEmpty(a.body), "GET with Accept: application/json: the body. Write asks Negotiate for the form")
	})

	t.Run("sends_an_order_as_XML", func(t *testing.T) {
		a := get(t, "application/xml", soup())
		var seen struct { // read by fields of the test's own
			XMLName xml.Name `xml:"order"`
			ID      string   `xml:"id,attr"`
			State   string   `xml:"state,attr"`
			Line    struct {
				Dish     string `xml:"dish,attr"`
				Quantity int    `xml:"quantity,attr"`
				Name     string `xml:"name"`
			} `xml:"lines>line"`
			Total struct {
				Currency string `xml:"currency,attr"`
				Amount   string `xml:",chardata"`
			} `xml:"total"`
		}
		require.NoError(t, xml.Unmarshal([]byte(a.body), &seen), "GET with Accept: application/xml: the body is %q. Write asks Negotiate for the form", a.body)
		assert.Equal(t, "17 paid ramen 2 Ramen with egg 2675 EUR", fmt.Sprint(seen.ID, " ", seen.State, " ", seen.Line.Dish, " ", seen.Line.Quantity, " ", seen.Line.Name, " ", seen.Total.Amount, " ", seen.Total.Currency), "GET with Accept: application/xml: what stands in %s", a.body)
	})

	// An order and a list come back from each form as they were.
	hard := soup()
	hard.ID, hard.State = `<17 "&'>`, order.Delivered
	hard.Lines[0].Name = " \t\r\n\u0085\u2028<![CDATA[ ]]> &amp; \U0001f35c \uFFFD "
	hard.Lines = append(hard.Lines, order.Line{Dish: "té\n\t", Quantity: 1, Unit: order.Money{Amount: -1 << 63, Currency: "EUR"}, Total: order.Money{Amount: 1<<63 - 1}})
	empty := &controller.Order{Lines: []order.Line{}}
	for _, row := range []struct {
		name string
		v    any
		new  func() any
	}{
		{"an_order_comes_back_as_it_was", soup(), func() any { return &controller.Order{} }},
		{"an_order_with_every_kind_of_text_does", hard, func() any { return &controller.Order{} }},
		{"an_order_without_lines_does", empty, func() any { return &controller.Order{} }},
		{"a_list_does", &controller.Page{Orders: []*controller.Order{soup(), hard, empty}, Next: "MTcu"}, func() any { return &controller.Page{} }},
		{"an_empty_list_does", &controller.Page{Orders: []*controller.Order{}}, func() any { return &controller.Page{} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, form := range representation.Forms() {
				a := get(t, form, row.v)
				got := row.new()
				require.NoError(t, representation.Decode(form, []byte(a.body), got), "GET with Accept: %s: the body is %q. Write asks Negotiate for the form", form, a.body)
				require.Equal(t, row.v, got, "GET with Accept: %s: what was sent, read again, from %s", form, a.body)
			}
		})
	}

	t.Run("what_XML_cannot_say_is_replaced", func(t *testing.T) {
		o := soup()
		o.Lines[0].Name = "a\x00b\x1fc\uFFFEd\uFFFFe\xffz"
		a := get(t, "application/xml", o)
		var got controller.Order
		require.NoError(t, representation.Decode(representation.XML, []byte(a.body), &got), "GET with Accept: application/xml, and a name with U+0000 and U+FFFE in it: the body is %q, and must be XML all the same (XML 1.0 §2.2)", a.body)
		assert.Equal(t, "a\uFFFDb\uFFFDc\uFFFDd\uFFFDe\uFFFDz", got.Lines[0].Name, "GET with Accept: application/xml, and the name %q", o.Lines[0].Name)
	})

	t.Run("sends_nothing_that_has_no_form", func(t *testing.T) {
		a := get(t, "application/xml", soup())
		require.NotEmpty(t, a.body, "GET with Accept: application/xml: nothing was sent of an order. Write asks Negotiate for the form")
		rec := httptest.NewRecorder()
		var err error
		soon(t, "Write of a struct{}", func() {
			err = representation.Write(rec, httptest.NewRequest(http.MethodGet, "/", nil), 200, struct{}{})
		})
		require.Error(t, err, "Write of a struct{}, which has no form")
		assert.Empty(t, rec.Body.String(), "what was sent of it")
	})

	t.Run("says_HEAD_what_a_GET_would_have", func(t *testing.T) {
		length := len(get(t, "application/xml", soup()).body)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = representation.Write(w, r, 200, soup())
		}))
		defer server.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Accept", "application/xml")
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Empty(t, body)
		assert.EqualValues(t, length, resp.ContentLength, "HEAD with Accept: application/xml: Content-Length (RFC 9110 §9.3.2)")
		assert.Equal(t, "application/xml; charset=utf-8", resp.Header.Get("Content-Type"), "HEAD with Accept: application/xml: Content-Type (RFC 9110 §9.3.2)")
	})
}

func BenchmarkChoose(b *testing.B) {
	for name, lines := range map[string][]string{
		"any":     {"*/*"},
		"browser": {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
		"none":    nil,
	} {
		b.Run(name, func(b *testing.B) {
			offers := representation.Forms()
			b.ReportAllocs()
			for b.Loop() {
				representation.Choose(lines, offers)
			}
		})
	}
}

func soup() *controller.Order {
	eur := func(n int64) order.Money { return order.Money{Amount: n, Currency: "EUR"} }
	at := time.Date(2026, 3, 1, 18, 0, 0, 1000, time.UTC)
	return &controller.Order{
		ID: "17", State: order.Paid,
		Lines:    []order.Line{{Dish: "ramen", Name: "Ramen with egg", Quantity: 2, Unit: eur(1250), Total: eur(2500)}},
		Subtotal: eur(2500), Discount: eur(0), Tax: eur(175), Total: eur(2675),
		Created: at, Updated: at.Add(time.Second),
	}
}

// answer is what became of a request.
type answer struct {
	mediaType string
	ok        bool
	status    int
	header    http.Header
	body      string
}

// doing are methods that have done by now what they were to do. GET and HEAD only ask.
var doing = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// ask calls Negotiate for a request with these lines of Accept. Vary has two lines
// before, Accept-Encoding and Origin.
func ask(t *testing.T, method string, accept ...string) (a answer) {
	t.Helper()
	rec, r := httptest.NewRecorder(), request(method, accept)
	rec.Header()["Vary"] = []string{"Accept-Encoding", "Origin"}
	soon(t, fmt.Sprintf("%s with Accept %q: Negotiate", method, accept), func() { a.mediaType, a.ok = representation.Negotiate(rec, r) })
	a.status, a.header, a.body = rec.Code, rec.Header(), rec.Body.String()
	return a
}

// get is what a GET with this Accept is answered with by Write.
func get(t *testing.T, accept string, v any) answer {
	t.Helper()
	rec, r := httptest.NewRecorder(), request(http.MethodGet, []string{accept})
	soon(t, fmt.Sprintf("GET with Accept: %s: Write", accept), func() {
		assert.NoError(t, representation.Write(rec, r, http.StatusOK, v), "GET with Accept: %s", accept)
	})
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
}

func request(method string, accept []string) *http.Request {
	r := httptest.NewRequest(method, "/orders/17", nil)
	if accept != nil {
		r.Header["Accept"] = accept
	}
	return r
}

// varies reports whether Vary names the field.
func varies(h http.Header, field string) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(h["Vary"], ","), ","), func(name string) bool {
		return strings.EqualFold(strings.TrimSpace(name), field)
	})
}

func orEmpty(body string) string {
	if body == "" {
		return "{}" // which says in the failure what is missing
	}
	return body
}

// nothing is what Choose says where nothing is acceptable.
const nothing = "nothing"

// said is what Choose returned, in words.
func said(mediaType string, ok bool) string {
	switch {
	case ok:
		return short(mediaType)
	case mediaType == "":
		return nothing
	}
	return short(mediaType) + ", and that it is not acceptable"
}

// short is json for application/json, and xml for application/xml.
func short(mediaType string) string {
	switch mediaType {
	case representation.JSON:
		return "json"
	case representation.XML:
		return "xml"
	case "":
		return "an empty media type"
	}
	return mediaType
}

func run(t *testing.T, rows []row) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			lines := strings.Split(row.field, "\n")
			assert.Equal(t, row.want, choose(t, lines, row.offers), "as in: lines %q, offers [%s]. %s (RFC 9110 §12.5.1)", lines, row.offers, row.why)
		})
	}
}

// choose is what Choose says, which must come back, and neither panic nor change what
// it is given. In offers, json and xml are short.
func choose(t *testing.T, lines []string, offers string) string {
	t.Helper()
	list := strings.Fields(offers)
	for i, offer := range list {
		switch offer {
		case "json":
			list[i] = representation.JSON
		case "xml":
			list[i] = representation.XML
		}
	}
	wereLines, were := slices.Clone(lines), slices.Clone(list)
	var chosen string
	soon(t, fmt.Sprintf("as in: lines %q, offers %q. Choose", wereLines, were), func() { chosen = said(representation.Choose(lines, list)) })
	require.Equal(t, wereLines, lines, "as in: lines %q, offers %q. Choose has changed the lines, which are the request's: others read them, too", wereLines, were)
	require.Equal(t, were, list, "as in: lines %q, offers %q. Choose has changed the offers: to sort them, take a copy", wereLines, were)
	return chosen
}

// patience is how long a call may take. Once one has not returned, the others are not
// waited for as long.
var patience = time.Second

// soon fails unless f returns soon, and does not panic.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan string, 1)
	go func() { done <- panics.In(f) }()
	for range patience / (10 * time.Millisecond) { // of this program: the time that a busy machine stands still does not count
		select {
		case fault := <-done:
			require.Empty(t, fault, "%s must not panic, whatever a client sends", what)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	patience = 50 * time.Millisecond
	require.FailNow(t, "no end", "%s has not returned, and nothing here takes time: is there a loop that does not end?", what)
}
