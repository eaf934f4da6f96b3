package answer_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/apitest"
	"clicktocode.example/07-response-observability/answer"
)

// finished is the API as the finished service has it.
func finished(c *api.Config) {
	c.Render, c.Produces, c.Before, c.Document = answer.Render, answer.Produces, answer.Condition, answer.Document()
}

// Each request and each answer is as the document has it: valid, nearly valid and wild
// ones, that are made of it.
func TestGenerated(t *testing.T) {
	t.Parallel()
	count := 12_000
	if raceEnabled() {
		count = 1200 // which is ten times slower
	}
	c := apitest.New(t, answer.Document())
	c.Generated(t, count, 7, finished)
	if raceEnabled() {
		return
	}
	seen := c.Seen()
	for _, name := range added(t) {
		assert.NotZero(t, seen[name], "%s: none of the requests was answered so", name)
	}
}

// added are the answers that this document has, and chapter 5's has not.
func added(t *testing.T) (names []string) {
	before := apitest.New(t, api.Document()).Described()
	for _, name := range apitest.New(t, answer.Document()).Described() {
		if !slices.Contains(before, name) {
			names = append(names, name)
		}
	}
	assert.ElementsMatch(t, []string{"getOrder 304", "getOrder 412", "cancelOrder 412", "advanceOrder 412"}, names)
	return names
}

// What the generator comes to by luck, if at all.
func TestContract(t *testing.T) {
	c := apitest.New(t, answer.Document())
	s := apitest.NewStand(t, c, finished)
	send := func(want int, method, target, token, body string, header ...string) (*http.Response, string) {
		t.Helper()
		got, text := s.Send(method, target, token, body, header...) // which holds it against the document
		require.Equal(t, want, got.StatusCode, "%s %s %q: %s", method, target, header, text)
		return got, text
	}
	xml, slip := []string{"Accept", "application/xml"}, []string{"Accept", "application/xml", "Idempotency-Key", "k1"}
	kind := func(got *http.Response) string {
		kind, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
		return kind
	}

	_, text := send(200, "GET", "/orders", c.Ada, "", xml...)
	assert.Contains(t, text, "<orders></orders>", "none is a list, too")
	placed, text := send(201, "POST", "/orders", c.Ada, apitest.Ramen, slip...)
	assert.Equal(t, "application/xml", kind(placed), text)
	at := placed.Header.Get("Location")
	again, same := send(201, "POST", "/orders", c.Ada, apitest.Ramen, "Idempotency-Key", "k1", "Accept", "application/json")
	assert.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	assert.Equal(t, "application/xml", kind(again), "in the form that it had first")
	assert.Equal(t, text, same)
	assert.Equal(t, []string{"Origin", "Accept"}, again.Header.Values("Vary"))
	pending, _ := send(202, "POST", "/orders", c.Ada, `{"lines": [{"dish": "tea", "quantity": 1}], "payment_method": "`+apitest.Unknown+`"}`, "Idempotency-Key", "k2", "Accept", "application/xml")
	assert.Equal(t, pending.Header.Get("Location"), pending.Header.Get("Content-Location"))

	page, text := send(200, "GET", "/orders?limit=1", c.Ada, "", xml...)
	assert.Equal(t, "application/xml", kind(page))
	assert.Contains(t, text, ` next="`)
	seen, _ := send(200, "GET", at, c.Ada, "", xml...)
	tag := seen.Header.Get("ETag")
	for _, listed := range []string{tag, "W/" + tag, `"0", ` + tag, "*"} {
		send(304, "GET", at, c.Ada, "", "Accept", "application/xml", "If-None-Match", listed)
	}
	send(412, "GET", at, c.Ada, "", "If-Match", tag) // it is another form's
	send(406, "GET", at, c.Ada, "", "Accept", "text/html")
	send(406, "GET", at, c.Ada, "", "Accept", "application/json;v=2")
	menu, _ := send(200, "GET", "/menu", "", "", xml...)
	assert.Equal(t, "application/json", kind(menu), "there is no other")

	send(412, "POST", at+"/cancel", c.Ada, "", "If-Match", `"0"`)
	send(412, "POST", at+"/advance", c.Chef, `{"to": "preparing"}`, "If-None-Match", tag)
	send(200, "POST", at+"/advance", c.Chef, `{"to": "preparing"}`, "If-Match", tag, "Accept", "application/xml")
	send(412, "POST", at+"/advance", c.Chef, `{"to": "dispatched"}`, "If-Match", tag)
	send(409, "POST", at+"/cancel", c.Ada, "", xml...)
	tea, _ := send(200, "POST", "/orders/"+s.Place(c.Ada, "k3")+"/cancel", c.Ada, "", xml...)
	assert.Equal(t, "application/xml", kind(tea))

	// A script of another origin has what it needs for all this.
	send(200, "GET", at, c.Ada, "", "Origin", apitest.Origin, "If-None-Match", tag)
	send(204, "OPTIONS", at, "", "", "Origin", apitest.Origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,if-match,if-none-match")
}

// The judge sees in XML, too, what is not described.
func TestJudge(t *testing.T) {
	c := apitest.New(t, answer.Document())
	s := apitest.NewStand(t, c, finished)
	s.Place(c.Ada, "k1")
	judge := func(from, to string) error {
		r := apitest.NewRequest(t.Context(), t, "GET", "/orders", c.Ada, "", "Accept", "application/xml")
		got, err := apitest.Inside(s.Engine).RoundTrip(r)
		require.NoError(t, err)
		told, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		require.Contains(t, string(told), from)
		return c.Check(r, nil, got, []byte(strings.Replace(string(told), from, to, 1)))
	}
	require.NoError(t, judge("", ""))
	for from, to := range map[string]string{
		"<order id=":       `<order customer="ada" id=`,
		"<lines>":          "<paid/><lines>",
		"</lines>":         "more</lines>",
		"</line>":          "</line><line/>",
		"<subtotal ":       "<sum ", // and its end is another's
		`quantity="1"`:     `quantity="one"`,
		`dish="ramen" `:    ``,
		`state="paid"`:     `state="eaten"`,
		">1250</unit>":     ">12.50</unit>",
		"</unit>":          "<cent/></unit>",
		"<orders>":         `<orders page="1">`,
		"</orders>":        "</orders><orders/>",
		"<?xml":            "<!--",
		"<name>":           "<name>x</name><name>",
		`<tax currency="E`: `<tax currency="e`,
	} {
		assert.Error(t, judge(from, to), "%s in place of %s", to, from)
	}
}

func TestDocument(t *testing.T) {
	s := apitest.NewStand(t, apitest.New(t, answer.Document()), finished)
	_, text := s.Send("GET", "/openapi.json", "", "")
	assert.Equal(t, string(answer.Document()), text)

	var before, after any
	require.NoError(t, json.Unmarshal(api.Document(), &before))
	require.NoError(t, json.Unmarshal([]byte(text), &after))
	assert.Subset(t, names(after), names(before), "nothing of chapter 5's is gone")
}

// names are the paths of all members in v, but for references, which may lead elsewhere.
func names(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if name == "$ref" {
				continue
			}
			all = append(all, name)
			for _, below := range names(member) {
				all = append(all, name+"/"+below)
			}
		}
	}
	return all
}
