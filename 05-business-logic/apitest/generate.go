package apitest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/api"
)

// Dice are decisions, as octets. When they are used up, all that follow are 0: the
// first choice, which is the plain one.
type Dice []byte

// n is a number from 0 to below sides.
func (d *Dice) n(sides int) int {
	if sides <= 1 || len(*d) == 0 {
		return 0
	}
	octets := 1
	if sides > 256 {
		octets = 4
	}
	var b [4]byte
	*d = (*d)[copy(b[:octets], *d):]
	return int(binary.LittleEndian.Uint32(b[:]) % uint32(sides))
}

// one is true one time in so many.
func (d *Dice) one(in int) bool { return d.n(in) == in-1 }

func pick[T any](d *Dice, from []T) T { return from[d.n(len(from))] }

// generator makes requests of the document: each is as its operation has it, but for
// so many faults.
type generator struct {
	Dice
	*Contract
	faults int
	routes [][2]string // method and path, those of orders several times

	// What was seen in answers.
	ids, cursors, tags, keys []string
	events                   int
}

// fault decides whether there is a fault here, if there may be one yet.
func (g *generator) fault() bool {
	if g.faults == 0 || !g.one(6) {
		return false
	}
	g.faults--
	return true
}

// request makes one.
func (g *generator) request(t testing.TB) *http.Request {
	g.faults = []int{0, 1, 1, 4}[g.n(4)]       // valid, nearly valid, and wild
	method, path := http.MethodPost, "/orders" // the first one, so that there is something to ask for
	if len(g.ids) > 0 || g.one(8) {
		route := pick(&g.Dice, g.routes)
		method, path = route[0], route[1]
	}
	item := g.Asked.Paths.Find(path)
	op := item.Operations()[method]
	header, query := http.Header{}, []string{}
	for _, ref := range slices.Concat(item.Parameters, op.Parameters) {
		p := ref.Value
		if p.In == openapi3.ParameterInPath {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(g.param(p)))
			continue
		}
		for there := g.one(2) || p.Required; there && !g.fault(); there = g.fault() { // none, one, or another one
			if value := g.param(p); p.In == openapi3.ParameterInHeader {
				header.Add(p.Name, value)
			} else {
				query = append(query, p.Name+"="+url.QueryEscape(value))
			}
		}
	}
	if g.fault() {
		query = append(query, pick(&g.Dice, []string{"x=1", "x=1&x=2", "%zz", "a;b", "limit", "=", "&&", "page=2", "access_token=" + g.Ada}))
	}
	if g.fault() {
		path += pick(&g.Dice, []string{"/", "//", "%00", "%2f", ";a=b", "/x", "%20", ".json"})
	}
	if g.fault() {
		method = pick(&g.Dice, []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"})
	}
	text := ""
	switch {
	case op.RequestBody != nil && !g.fault():
		header.Set("Content-Type", "application/json")
		text = g.json(op.RequestBody.Value.Content["application/json"].Schema.Value, "")
	case g.fault():
		header.Set("Content-Type", "application/json")
		text = g.wrong()
	}
	if text != "" && g.fault() {
		text = g.spoilt(text)
	}
	if g.fault() {
		switch name, value := g.strange(); {
		case g.one(2):
			header.Add(name, value)
		default:
			header.Set(name, value)
		}
	}
	if forms := forms(op); len(forms) > 1 && g.one(2) {
		header.Set("Accept", pick(&g.Dice, append(forms, strings.Join(forms, ", "), forms[0]+";q=0.1, "+forms[1])))
	}
	if op.Security != nil {
		g.credentials(*op.Security, header, text)
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://shop.test"+path, strings.NewReader(text))
	require.NoError(t, err, "the generator made no request: %s %s", method, path)
	maps.Copy(r.Header, header)
	return r
}

// forms are the media types that an answer to op may have, if it is done.
func forms(op *openapi3.Operation) (all []string) {
	for _, code := range []int{http.StatusOK, http.StatusCreated} {
		if done := op.Responses.Status(code); done != nil {
			all = slices.Sorted(maps.Keys(done.Value.Content))
		}
	}
	return all
}

// credentials are what op needs, a token or a signature.
func (g *generator) credentials(needs openapi3.SecurityRequirements, header http.Header, text string) {
	for _, need := range needs {
		if _, signed := need["signature"]; signed && !g.fault() {
			header.Set("Stripe-Signature", Sign(text, time.Now()))
		}
		scopes, token := need["token"]
		if !token || len(scopes) == 0 && g.one(2) {
			continue
		}
		good := []string{g.Ada, g.Bob, g.Chef}
		if slices.Contains(scopes, "orders:kitchen") {
			good = []string{g.Chef}
		}
		bearer := pick(&g.Dice, good)
		if g.fault() {
			bearer = pick(&g.Dice, append(slices.Sorted(maps.Keys(g.Tokens)), "", "eyJ", g.Ada+"x", strings.Repeat("x", 5000), g.wild(40)))
		}
		header.Set("Authorization", "Bearer "+bearer)
		if g.fault() {
			header.Del("Authorization")
		}
	}
}

// strange is a field that means something to those who stand in front.
func (g *generator) strange() (name, value string) {
	all := [][]string{
		{"Content-Type", "text/plain", "application/json; charset=utf-8", "application/json; charset=latin1", "application/jsonx", ""},
		{"Content-Encoding", "gzip", "identity"},
		{"Accept", "application/json", "*/*", "text/html", "application/problem+json", "application/*;q=0", "*/*; q=0.5, application/xml"},
		{"Origin", Origin, "https://evil.test", "null"},
		{"Access-Control-Request-Method", "POST", "DELETE"},
		{"X-Request-ID", "mine", "not mine", strings.Repeat("a", 65)},
		{"Idempotency-Key", "k", "", "a b", `"`, strings.Repeat("k", 256)},
		{"Authorization", "Bearer", "Basic YTpi", "Bearer " + g.Ada},
		{"Stripe-Signature", "t=1,v1=00", "v1=00", "t=99999999999999999999,v1=0"},
		{"Range", "bytes=0-1"}, {"If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Expect", "100-continue"},
		{"X-Forwarded-For", "203.0.113.7"}, {"X-HTTP-Method-Override", "DELETE"},
	}
	row := pick(&g.Dice, all)
	return row[0], row[1+g.n(len(row)-1)]
}

// param is a parameter's value.
func (g *generator) param(p *openapi3.Parameter) string {
	known := map[string][]string{"id": g.ids, "after": g.cursors, "If-None-Match": append([]string{"*"}, g.tags...), "If-Match": append([]string{"*"}, g.tags...), "Idempotency-Key": g.keys}[p.Name]
	switch {
	case g.fault():
		value := pick(&g.Dice, []string{"\x00", "\xff", "..", "0", "-1", "+5", "5.0", "1e1", "007", "99999999999999999999", "null", " ", "%", "é", `"`, "W/", "a,b", "MC4x", "MC4A", "MTc3NzY1ODQwMDAwMDAwMC4A", strings.Repeat("a", 600), g.wild(20), ""})
		if p.In == openapi3.ParameterInHeader {
			return printable(value)
		}
		return cmp.Or(value, map[bool]string{true: " "}[p.In == openapi3.ParameterInPath]) // an empty one is another path
	case len(known) > 0 && !g.one(4):
		return pick(&g.Dice, known)
	}
	value := g.json(p.Schema.Value, "")
	var text string
	if json.Unmarshal([]byte(value), &text) != nil {
		text = value // a number
	}
	if p.In == openapi3.ParameterInHeader {
		text = printable(text)
	}
	if p.Name == "Idempotency-Key" {
		g.keys = append(g.keys, text)
	}
	return cmp.Or(text, "-")
}

// printable is text as a field's value can be.
func printable(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '.'
		}
		return r
	}, text), " ")
}

// wild is some octets that the dice have.
func (g *generator) wild(most int) string {
	n := min(g.n(most), len(g.Dice))
	text := string(g.Dice[:n])
	g.Dice = g.Dice[n:]
	return text
}

// wrong is a value that hardly fits anywhere.
func (g *generator) wrong() string {
	return pick(&g.Dice, []string{
		`null`, `true`, `0`, `-1`, `1`, `1.0`, `1e0`, `1.5`, `1e999`, `-0`, `101`, `9223372036854775808`, `99999999999999999999999`, `""`, `" "`, `"\u0000"`, `"\ud800"`, `"\uFEFF"`,
		`[]`, `{}`, `[[]]`, `{"":{}}`, `"` + strings.Repeat("x", 3000) + `"`, strings.Repeat("[", 40) + strings.Repeat("]", 40), strings.Repeat(`{"a":`, 9) + `1` + strings.Repeat(`}`, 9),
		`nul`, `'x'`, `01`, `+1`, `NaN`, "\"\xff\"", "\"\x01\"", `"pm_card_chargeDeclined"`, `"` + Unknown + `"`, `"ramen"`, `"tofu"`, `"cancelled"`,
		quote(g.wild(30)), g.wild(30),
	})
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// spoilt is a text with some octets changed.
func (g *generator) spoilt(text string) string {
	i := g.n(len(text))
	switch g.n(6) {
	case 0:
		return text[:i]
	case 1:
		return text + pick(&g.Dice, []string{"x", "{}", " ", "\n\n", "\x00", "]"})
	case 2:
		return text[:i] + g.wild(3) + text[i:]
	case 3:
		return text[:i] + text[min(i+1, len(text)):]
	case 4:
		return pick(&g.Dice, []string{"\ufeff", " ", "[", "//x\n"}) + text
	default:
		return text + strings.Repeat(" ", 66_000)
	}
}

// json is a value that schema allows, if there is no fault in it. name is the
// property's that it is for.
func (g *generator) json(schema *openapi3.Schema, name string) string {
	if g.fault() {
		return g.wrong()
	}
	if len(schema.Enum) > 0 {
		text, _ := json.Marshal(pick(&g.Dice, schema.Enum))
		return string(text)
	}
	types := schema.Type.Slice()
	switch pick(&g.Dice, types) {
	case "object":
		return g.object(schema)
	case "array":
		least := int(schema.MinItems)
		n := least + []int{0, 0, 0, 1, 1, 2}[g.n(6)]
		if schema.MaxItems != nil && g.one(30) {
			n = int(*schema.MaxItems)
		}
		if g.fault() {
			n = pick(&g.Dice, []int{least - 1, 51, 101, 400})
		}
		values := []string{}
		for range n {
			values = append(values, g.json(schema.Items.Value, ""))
		}
		return "[" + strings.Join(values, ",") + "]"
	case "integer":
		least, most := 0, 1<<30
		if schema.Min != nil {
			least = int(*schema.Min)
		}
		if schema.Max != nil {
			most = int(*schema.Max)
		}
		values := []int{least, least, least + 1, least + 2, most, least + g.n(most-least+1)}
		if g.fault() {
			values = []int{least - 1, most + 1, -most, 1 << 40}
		}
		return fmt.Sprint(pick(&g.Dice, values))
	case "boolean":
		return pick(&g.Dice, []string{"false", "true"})
	case "null":
		return "null"
	}
	switch {
	case name == "id": // of an event
		if g.events++; g.one(8) {
			g.events--
		}
		return quote(fmt.Sprint("evt_", g.events))
	case schema.MaxLength != nil && g.one(8):
		n := int(*schema.MaxLength)
		if g.fault() {
			n++
		}
		return quote(strings.Repeat(pick(&g.Dice, []string{"x", "ü"}), n))
	case len(schema.Examples) > 0 && !g.one(8):
		return quote(pick(&g.Dice, schema.Examples).(string))
	case schema.Pattern != "":
		return quote(g.matching(schema.Pattern))
	}
	text := pick(&g.Dice, []string{"x", Unknown, "tofu", "ünïcødé", "a b", strings.ToValidUTF8(g.wild(12), "?")})
	return quote(cmp.Or(text, "x"))
}

func (g *generator) object(schema *openapi3.Schema) string {
	var members []string
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		there := slices.Contains(schema.Required, name) || g.one(2)
		for ; there && !g.fault(); there = g.fault() { // none, one, or twice
			as := name
			if g.fault() {
				as = pick(&g.Dice, []string{strings.ToUpper(name), name + "s", "ſ" + name[1:], ""})
			}
			members = append(members, quote(as)+":"+g.json(schema.Properties[name].Value, name))
		}
	}
	if g.fault() {
		members = append(members, pick(&g.Dice, []string{`"customer":"bob"`, `"total":{"amount":1}`, `"state":"paid"`, `"id":"17"`, `"":0`, `"a":[[[[[[[[[[[[1]]]]]]]]]]]]`, `"__proto__":{}`}))
	}
	if g.one(6) {
		slices.Reverse(members)
	}
	return "{" + strings.Join(members, pick(&g.Dice, []string{",", ", ", " ,\n\t"})) + "}"
}

// matching is a text that the pattern fits.
func (g *generator) matching(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	var walk func(re *syntax.Regexp)
	walk = func(re *syntax.Regexp) {
		least, most := 1, 1
		switch re.Op {
		case syntax.OpLiteral:
			b.WriteString(string(re.Rune))
		case syntax.OpCharClass:
			i := 2 * g.n(len(re.Rune)/2)
			b.WriteRune(re.Rune[i] + rune(g.n(int(min(re.Rune[i+1]-re.Rune[i]+1, 256)))))
		case syntax.OpAlternate:
			walk(pick(&g.Dice, re.Sub))
			return
		case syntax.OpRepeat:
			least, most = re.Min, max(re.Max, re.Min)
		case syntax.OpPlus:
			most = 4
		case syntax.OpStar:
			least, most = 0, 4
		case syntax.OpQuest:
			least = 0
		}
		n := least + g.n(min(most-least, 8)+1)
		if most > least && g.one(20) {
			n = most
		}
		for range n {
			for _, sub := range re.Sub {
				walk(sub)
			}
		}
	}
	walk(re)
	return b.String()
}

// learn keeps what an answer, with that in its body, says that later requests may name.
func (g *generator) learn(path string, answer *http.Response, said any) {
	if !strings.HasPrefix(path, "/orders") && path != "/menu" || answer.StatusCode >= 300 {
		return
	}
	if tag := answer.Header.Get("ETag"); tag != "" && !slices.Contains(g.tags, tag) {
		g.tags = append(g.tags, tag)
		g.tags = g.tags[max(0, len(g.tags)-4):] // the others are hardly those of anything any more
	}
	members, _ := said.(map[string]any)
	if id, _ := members["id"].(string); id != "" && !slices.Contains(g.ids, id) {
		g.ids = append(g.ids, id)
	}
	if next, _ := members["next"].(string); next != "" {
		g.cursors = append(g.cursors, next)
	}
}

// Generated sends count requests to stands that NewStand makes with with, by Visit. They
// are the same each time, but for IDs. Of 10 000 and more it also wants that each
// operation is done, and refused.
func (c *Contract) Generated(t *testing.T, count int, seed byte, with ...func(*api.Config)) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{seed})
	for range count / visitLength {
		d := make(Dice, 2000)
		_, _ = random.Read(d)
		s := NewStand(t, c, with...)
		s.Visit(d)
		s.Close()
	}
	good, bad := map[string]bool{}, map[string]bool{}
	for name, n := range c.Seen() {
		op, status, _ := strings.Cut(name, " ")
		good[op], bad[op] = good[op] || status[0] == '2', bad[op] || status[0] == '4'
		t.Logf("%6d %s", n, name)
	}
	if count < 10_000 {
		return // too few to say more
	}
	for _, item := range c.Asked.Paths.Map() {
		for _, op := range item.Operations() {
			assert.True(t, good[op.OperationID] && bad[op.OperationID], "%s: done %v, refused %v: the generator is lame", op.OperationID, good[op.OperationID], bad[op.OperationID])
		}
	}
}

// visitLength is how many requests a visit has: a few, since what an order may become
// depends on what it was.
const visitLength = 12

// Visit sends some requests, until the dice are used up, and holds each of them and its
// answer against the document. No answer is a fault of ours.
func (s *Stand) Visit(d Dice) {
	t, c := s.t, s.Contract
	t.Helper()
	g := &generator{Dice: d, Contract: c, keys: []string{"k1"}}
	for _, path := range slices.Sorted(maps.Keys(c.Asked.Paths.Map())) {
		for _, method := range slices.Sorted(maps.Keys(c.Asked.Paths.Find(path).Operations())) {
			for range map[bool]int{true: 4, false: 1}[strings.HasPrefix(path, "/orders")] {
				g.routes = append(g.routes, [2]string{method, path})
			}
		}
	}
	for i := 0; i == 0 || i < visitLength && len(g.Dice) > 0; i++ {
		r := g.request(t)
		asked, told, answer := exchanged(t, Inside(s.Engine), r)
		if err := c.Check(r, asked, answer, told); err != nil {
			require.Failf(t, "not as the document has it", "%v\n%s", err, exchange(r, asked, answer, told))
		}
		late := answer.StatusCode == http.StatusGatewayTimeout && bytes.Contains(told, []byte("problems/unknown")) // of a charge that nobody knows of
		if answer.StatusCode >= 500 && !late || !utf8.Valid(told) {
			require.Failf(t, "a fault of ours", "%s\n%s", exchange(r, asked, answer, told), s.Log)
		}
		said, _ := c.said(r, answer, told)
		g.learn(r.URL.Path, answer, said)
	}
	assert.NotContains(t, s.Log.String(), `"msg":"panic"`)
}
