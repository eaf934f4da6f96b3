package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/solution/authenticate"
	"clicktocode.example/04-middleware/solution/validate"
	"clicktocode.example/05-business-logic/api"
)

// contract holds requests and answers against openapi.json. It may be used by many
// goroutines at once.
type contract struct {
	asked  *openapi3.T         // what a request may be
	told   *openapi3.T         // what an answer may be: an object has what is described, and nothing else
	every  openapi3.Headers    // of every answer
	tokens map[string][]string // those that are good, and their scopes
	ada    string              // one of a customer,
	bob    string              // one of another,
	chef   string              // one of the kitchen,
	nobody string              // and one without scopes

	mu   sync.Mutex
	seen map[string]int // how often each "placeOrder 201" came
}

func newContract(t testing.TB) *contract {
	t.Helper()
	c := &contract{asked: load(t), told: load(t), seen: map[string]int{}, tokens: map[string][]string{}}
	for _, ref := range c.told.Components.Schemas {
		if s := ref.Value; s.Type.Is("object") && s.AdditionalProperties.Has == nil {
			s.AdditionalProperties.Has = new(bool) // clients must live with more than is described; we want to know of it
		}
	}
	text, err := json.Marshal(c.told.Extensions["x-headers-of-every-answer"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &c.every))
	for _, who := range []struct {
		token   *string
		subject string
		scopes  []string
	}{
		{&c.ada, "ada", []string{"orders:read", "orders:write"}},
		{&c.bob, "bob", []string{"orders:read", "orders:write"}},
		{&c.chef, "chef", []string{"orders:read", "orders:write", "orders:kitchen"}},
		{&c.nobody, "nobody", []string{}},
		{new(string), "reader", []string{"orders:read"}},
		{new(string), "writer", []string{"orders:write"}},
		{new(string), "cook", []string{"orders:kitchen"}},
	} {
		*who.token, err = key(t).Sign(who.subject, who.scopes, time.Hour)
		require.NoError(t, err)
		c.tokens[*who.token] = who.scopes
	}
	return c
}

func load(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.Document())
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	// From here on, kin-openapi is to judge values as it does for 3.0, by its own
	// validator: for 3.1, it compiles a schema anew for each value, which takes a
	// hundred times as long. The words that the document uses mean the same in both.
	doc.OpenAPI = "3.0.3"
	return doc
}

// operation is what the document has at method and path: item and op are nil where it
// has nothing.
func operation(doc *openapi3.T, method, path string) (item *openapi3.PathItem, op *openapi3.Operation, params map[string]string) {
	segments := strings.Split(path, "/")
	for template, item := range doc.Paths.Map() {
		parts := strings.Split(template, "/")
		params = map[string]string{}
		if len(parts) != len(segments) {
			continue
		}
		fits := true
		for i, part := range parts {
			if name, isParam := strings.CutPrefix(part, "{"); isParam && segments[i] != "" {
				params[strings.TrimSuffix(name, "}")] = segments[i]
			} else {
				fits = fits && part == segments[i]
			}
		}
		if fits {
			return item, item.Operations()[method], params
		}
	}
	return nil, nil, nil
}

// check returns what is wrong with an answer, or nil. asked and told are the bodies.
func (c *contract) check(r *http.Request, asked []byte, answer *http.Response, told []byte) error {
	item, op, params := operation(c.asked, r.Method, r.URL.Path)
	if op == nil {
		return c.checkUndescribed(item, r, answer, told)
	}
	c.mu.Lock()
	c.seen[fmt.Sprint(op.OperationID, " ", answer.StatusCode)]++
	c.mu.Unlock()
	fault := c.request(item, op, params, r, asked)
	switch status := answer.StatusCode; {
	case fault != nil && (status < 400 || status > 499):
		return fmt.Errorf("the document refuses this request, and the API does not: %w", fault)
	case fault != nil:
	case status == http.StatusBadRequest && (r.URL.Query().Has("after") || op.OperationID == "receiveStripeEvent"):
		// what is in a cursor or in a signature, no schema tells
	case slices.Contains([]int{400, 401, 403, 415}, status):
		return errors.New("the document has nothing against this request, and the API refuses it")
	}
	_, op, _ = operation(c.told, r.Method, r.URL.Path)
	described := op.Responses.Status(answer.StatusCode)
	if described == nil {
		return fmt.Errorf("%s: status %d is not described", op.OperationID, answer.StatusCode)
	}
	if err := c.headers(described.Value.Headers, answer.Header); err != nil {
		return err
	}
	if r.Method == http.MethodHead || len(described.Value.Content) == 0 {
		if len(told) > 0 {
			return fmt.Errorf("a body is not described, and there is one: %.80q", told)
		}
		return nil
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	media := described.Value.Content[kind]
	if media == nil {
		return fmt.Errorf("Content-Type %q is not described", answer.Header.Get("Content-Type"))
	}
	return body(media.Schema.Value, answer, told)
}

// body holds an answer's body against its schema, and a problem against the rest of
// the answer.
func body(schema *openapi3.Schema, answer *http.Response, text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("the body is no JSON: %w: %.80q", err, text)
	}
	if err := schema.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors()); err != nil {
		return fmt.Errorf("the body: %w: %.500s", err, text)
	}
	if answer.Header.Get("Content-Type") == problem {
		p := value.(map[string]any)
		first := answer.Header.Get("Idempotent-Replayed") == "" // otherwise it is the first answer's, and so is its log
		if p["status"] != float64(answer.StatusCode) || first && p["instance"] != answer.Header.Get("X-Request-ID") {
			return fmt.Errorf("the problem is another one's: %s, status %d, X-Request-ID %q", text, answer.StatusCode, answer.Header.Get("X-Request-ID"))
		}
	}
	return nil
}

// framing are the fields of HTTP itself.
var framing = []string{"Content-Type", "Content-Length", "Date", "Connection", "Transfer-Encoding"}

// headers holds an answer's header against what is described, of it and of every one.
func (c *contract) headers(described openapi3.Headers, header http.Header) error {
	all := make(openapi3.Headers, len(c.every)+len(described)) // by canonical names
	for _, some := range []openapi3.Headers{c.every, described} {
		for name, ref := range some {
			all[http.CanonicalHeaderKey(name)] = ref
		}
	}
	for name := range header {
		if all[name] == nil && !slices.Contains(framing, name) {
			return fmt.Errorf("the field %s is not described: %q", name, header[name])
		}
	}
	for name, ref := range all {
		lines := header.Values(name)
		if len(lines) == 0 {
			if ref.Value.Required {
				return fmt.Errorf("the field %s is missing", name)
			}
			continue
		}
		var value any = strings.Join(lines, ", ")
		if ref.Value.Schema.Value.Type.Is("integer") {
			n, err := strconv.ParseInt(lines[0], 10, 64)
			if err != nil {
				return fmt.Errorf("the field %s: %w", name, err)
			}
			value = float64(n)
		}
		if err := ref.Value.Schema.Value.VisitJSON(value); err != nil {
			return fmt.Errorf("the field %s is %q: %w", name, lines, err)
		}
	}
	return nil
}

// checkUndescribed is check for what the document tells of in words alone: paths that
// are not there, methods that a path does not have, and preflights.
func (c *contract) checkUndescribed(item *openapi3.PathItem, r *http.Request, answer *http.Response, told []byte) error {
	may := []int{http.StatusNotFound, 401, 406, 413, 415, 429}
	also := openapi3.Headers{}
	if item != nil {
		may[0] = http.StatusMethodNotAllowed
	}
	free := &openapi3.HeaderRef{Value: &openapi3.Header{Parameter: openapi3.Parameter{Schema: openapi3.NewStringSchema().NewRef()}}}
	for _, name := range []string{"Allow", "Accept", "Accept-Encoding", "WWW-Authenticate", "Cache-Control"} {
		also[name] = free
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		may = append(may, http.StatusNoContent, http.StatusForbidden)
		for _, name := range []string{"Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age"} {
			also[name] = free
		}
	}
	if !slices.Contains(may, answer.StatusCode) {
		return fmt.Errorf("it is not described, and answered by %d", answer.StatusCode)
	}
	if answer.StatusCode == http.StatusMethodNotAllowed {
		allowed := strings.Split(answer.Header.Get("Allow"), ", ")
		if want := slices.Collect(maps.Keys(item.Operations())); !slices.Equal(slices.Sorted(slices.Values(allowed)), slices.Sorted(slices.Values(want))) {
			return fmt.Errorf("the field Allow has %q, and the document %q", allowed, want)
		}
	}
	if err := c.headers(also, answer.Header); err != nil || answer.StatusCode == http.StatusNoContent || r.Method == http.MethodHead {
		return err
	}
	return body(c.told.Components.Schemas["Problem"].Value, answer, told)
}

// request returns what the document has against a request, or nil.
func (c *contract) request(item *openapi3.PathItem, op *openapi3.Operation, params map[string]string, r *http.Request, asked []byte) error {
	event := op.OperationID == "receiveStripeEvent" // of what Stripe has signed, what can be read is read
	if token, sent := authenticate.Bearer(r.Header); sent && c.tokens[token] == nil {
		return errors.New("the token is not good")
	}
	if len(op.Parameters) > 0 && op.Parameters[0].Value.In == "query" { // elsewhere, the query is not read
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return err
		}
		for name, values := range query {
			if op.Parameters.GetByInAndName("query", name) == nil {
				return fmt.Errorf("%q is not known in the query", name)
			}
			if len(values) > 1 {
				return fmt.Errorf("%q comes twice in the query", name)
			}
		}
	}
	if key := r.Header.Values("Idempotency-Key"); op.Parameters.GetByInAndName("header", "Idempotency-Key") != nil && len(key) > 1 {
		return errors.New("two lines Idempotency-Key")
	}
	if len(asked) > 0 {
		if len(asked) > api.MaxBody {
			return errors.New("the body is too large")
		}
		if !validate.Understood(r.Header["Content-Type"], []string{"application/json"}) || !slices.Contains([]string{"", "identity"}, strings.Join(r.Header.Values("Content-Encoding"), ",")) {
			return errors.New("the body is not JSON, in plain text")
		}
		if err := strict(asked); err != nil && op.RequestBody != nil && !event {
			return err
		}
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(asked))
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params,
		Route: &routers.Route{Spec: c.asked, PathItem: item, Operation: op},
		Options: &openapi3filter.Options{
			SkipSettingDefaults: true,
			ExcludeRequestBody:  event,
			AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
				if in.SecuritySchemeName == "signature" {
					return nil // the verifier's own tests look at that
				}
				token, sent := authenticate.Bearer(r.Header)
				for _, scope := range in.Scopes {
					sent = sent && slices.Contains(c.tokens[token], scope)
				}
				if !sent {
					return fmt.Errorf("no token with the scopes %q", in.Scopes)
				}
				return nil
			},
		},
	})
}

// strict returns what the document says in words alone of how a body is written.
func strict(text []byte) error {
	if !utf8.Valid(text) || !json.Valid(text) {
		return errors.New("no JSON in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var walk func() error
	walk = func() error {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case string:
			if strings.Contains(token, "\x00") {
				return errors.New("U+0000")
			}
		case json.Number:
			if strings.ContainsAny(token.String(), ".eE") {
				return fmt.Errorf("the number %s", token)
			}
		case json.Delim:
			names := map[any]bool{}
			for d.More() {
				if token == '{' {
					name, _ := d.Token()
					if names[name] {
						return fmt.Errorf("the name %q twice", name)
					}
					names[name] = true
				}
				if err := walk(); err != nil {
					return err
				}
			}
			_, _ = d.Token()
		}
		return nil
	}
	return walk()
}

// checked is a RoundTripper that holds each request and its answer against the
// contract, and fails the test otherwise.
type checked struct {
	t testing.TB
	*contract
	next http.RoundTripper
}

func (c checked) RoundTrip(r *http.Request) (*http.Response, error) {
	c.t.Helper()
	asked, told, answer := exchanged(c.t, c.next, r)
	if err := c.check(r, asked, answer, told); err != nil {
		require.Failf(c.t, "not as openapi.json has it", "%v\n%s", err, exchange(r, asked, answer, told))
	}
	return answer, nil
}

// exchanged sends r, and returns what was sent and what came.
func exchanged(t testing.TB, by http.RoundTripper, r *http.Request) (asked, told []byte, answer *http.Response) {
	t.Helper()
	asked, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	r.Body = io.NopCloser(bytes.NewReader(asked))
	answer, err = by.RoundTrip(r)
	require.NoError(t, err)
	told, err = io.ReadAll(answer.Body)
	require.NoError(t, err)
	answer.Body = io.NopCloser(bytes.NewReader(told))
	return asked, told, answer
}

// exchange is a request and its answer, for who looks for the fault.
func exchange(r *http.Request, asked []byte, answer *http.Response, told []byte) string {
	return fmt.Sprintf("%s %s %q\n%.500q\nwas answered by %d %q\n%.500q", r.Method, r.URL.RequestURI(), r.Header, asked, answer.StatusCode, answer.Header, told)
}

// The judge itself: it must see what is not described.
func TestContract(t *testing.T) {
	c := newContract(t)
	s := newStand(t, c)
	id := s.place(c.ada, "k1")
	judge := func(change func(answer *http.Response, told *[]byte)) error {
		r := newRequest(t, t.Context(), "GET", "/orders/"+id, c.ada, "")
		answer, err := inside{s.engine}.RoundTrip(r)
		require.NoError(t, err)
		told, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		change(answer, &told)
		return c.check(r, nil, answer, told)
	}
	require.NoError(t, judge(func(*http.Response, *[]byte) {}))
	for name, change := range map[string]func(*http.Response, *[]byte){
		"a status": func(a *http.Response, _ *[]byte) { a.StatusCode = http.StatusTeapot },
		"a field": func(_ *http.Response, b *[]byte) {
			*b = bytes.Replace(*b, []byte(`{`), []byte(`{"customer":"ada",`), 1)
		},
		"a field, deep": func(_ *http.Response, b *[]byte) {
			*b = bytes.Replace(*b, []byte(`"dish"`), []byte(`"cost":1,"dish"`), 1)
		},
		"a field gone":       func(_ *http.Response, b *[]byte) { *b = bytes.Replace(*b, []byte(`"state"`), []byte(`"status"`), 1) },
		"another type":       func(_ *http.Response, b *[]byte) { *b = bytes.Replace(*b, []byte(`1250`), []byte(`"1250"`), 1) },
		"a state":            func(_ *http.Response, b *[]byte) { *b = bytes.Replace(*b, []byte(`"paid"`), []byte(`"eaten"`), 1) },
		"a header":           func(a *http.Response, _ *[]byte) { a.Header.Set("Server", "gin") },
		"a header gone":      func(a *http.Response, _ *[]byte) { a.Header.Del("Cache-Control") },
		"a header's value":   func(a *http.Response, _ *[]byte) { a.Header.Set("Cache-Control", "public") },
		"a field of a guard": func(a *http.Response, _ *[]byte) { a.Header.Del("X-Content-Type-Options") },
		"another media type": func(a *http.Response, _ *[]byte) { a.Header.Set("Content-Type", "text/html") },
		"no JSON":            func(_ *http.Response, b *[]byte) { *b = append(*b, '}') },
	} {
		assert.Error(t, judge(change), name)
	}

	for as, r := range map[string]*http.Request{
		"no key":          newRequest(t, t.Context(), "POST", "/orders", c.ada, ramen),
		"no scope":        newRequest(t, t.Context(), "POST", "/orders", c.nobody, ramen, "Idempotency-Key", "k2"),
		"another's token": newRequest(t, t.Context(), "GET", "/menu", "eyJ", ""),
		"a name twice":    newRequest(t, t.Context(), "POST", "/orders", c.ada, `{"lines": [], "lines": [{"dish": "ramen", "quantity": 1}]}`, "Idempotency-Key", "k2"),
		"too many lines":  newRequest(t, t.Context(), "POST", "/orders", c.ada, `{"lines": [`+strings.Repeat(`{"dish": "tea", "quantity": 1},`, 50)+`{"dish": "tea", "quantity": 1}]}`, "Idempotency-Key", "k2"),
		"no number":       newRequest(t, t.Context(), "GET", "/orders?limit=x", c.ada, ""),
	} {
		item, op, params := operation(c.asked, r.Method, r.URL.Path)
		asked, _ := io.ReadAll(r.Body)
		assert.Error(t, c.request(item, op, params, r, asked), as)
	}
	for _, body := range []string{ramen, `{"lines": [{"dish": "ramen", "quantity": 1}], "payment_method": null}`} {
		r := newRequest(t, t.Context(), "POST", "/orders", c.ada, body, "Idempotency-Key", "k2")
		item, op, params := operation(c.asked, r.Method, r.URL.Path)
		assert.NoError(t, c.request(item, op, params, r, []byte(body)), body)
	}
}
