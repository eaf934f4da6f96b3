package apitest

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
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/solution/authenticate"
	"clicktocode.example/04-middleware/solution/validate"
	"clicktocode.example/05-business-logic/api"
)

// Contract holds requests and answers against an OpenAPI document. It may be used by
// many goroutines at once.
type Contract struct {
	Asked  *openapi3.T         // what a request may be
	Told   *openapi3.T         // what an answer may be: an object has what is described, and nothing else
	Tokens map[string][]string // those that are good, and their scopes
	Ada    string              // one of a customer,
	Bob    string              // one of another,
	Chef   string              // one of the kitchen,
	Nobody string              // and one without scopes

	every openapi3.Headers // of every answer

	mu   sync.Mutex
	seen map[string]int // how often each "placeOrder 201" came
}

// New returns the contract that document is, in JSON.
func New(t testing.TB, document []byte) *Contract {
	t.Helper()
	c := &Contract{Asked: Load(t, document), Told: Load(t, document), Tokens: map[string][]string{}, seen: map[string]int{}}
	for _, ref := range c.Told.Components.Schemas {
		if s := ref.Value; s.Type.Is("object") && s.AdditionalProperties.Has == nil {
			s.AdditionalProperties.Has = new(bool) // clients must live with more than is described; we want to know of it
		}
	}
	text, err := json.Marshal(c.Told.Extensions["x-headers-of-every-answer"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &c.every))
	for _, who := range []struct {
		token   *string
		subject string
		scopes  []string
	}{
		{&c.Ada, "ada", []string{"orders:read", "orders:write"}},
		{&c.Bob, "bob", []string{"orders:read", "orders:write"}},
		{&c.Chef, "chef", []string{"orders:read", "orders:write", "orders:kitchen"}},
		{&c.Nobody, "nobody", []string{}},
		{new(string), "reader", []string{"orders:read"}},
		{new(string), "writer", []string{"orders:write"}},
		{new(string), "cook", []string{"orders:kitchen"}},
	} {
		*who.token, err = key(t).Sign(who.subject, who.scopes, time.Hour)
		require.NoError(t, err)
		c.Tokens[*who.token] = who.scopes
	}
	return c
}

// Load reads a document, which must be right.
func Load(t testing.TB, document []byte) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	// From here on, kin-openapi is to judge values as it does for 3.0, by its own
	// validator: for 3.1, it compiles a schema anew for each value, which takes a
	// hundred times as long. The words that the documents use mean the same in both.
	doc.OpenAPI = "3.0.3"
	return doc
}

// Seen is how often each answer came that the document describes, as "placeOrder 201".
func (c *Contract) Seen() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.seen)
}

// Described are all answers that the document describes, named as in Seen.
func (c *Contract) Described() (all []string) {
	for _, item := range c.Asked.Paths.Map() {
		for _, op := range item.Operations() {
			for code := range op.Responses.Map() {
				all = append(all, op.OperationID+" "+code)
			}
		}
	}
	return all
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

// Check returns what is wrong with an answer to r, or nil. asked and told are the bodies.
func (c *Contract) Check(r *http.Request, asked []byte, answer *http.Response, told []byte) error {
	item, op, params := operation(c.Asked, r.Method, r.URL.Path)
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
	_, op, _ = operation(c.Told, r.Method, r.URL.Path)
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
	media := described.Value.Content[mediaType(answer)]
	if media == nil {
		return fmt.Errorf("Content-Type %q is not described", answer.Header.Get("Content-Type"))
	}
	return body(media.Schema.Value, answer, told)
}

func mediaType(answer *http.Response) string {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return kind
}

// said is what is in the body of an answer that Check has nothing against; nil if there
// is none, or it is not described.
func (c *Contract) said(r *http.Request, answer *http.Response, told []byte) (any, error) {
	if _, op, _ := operation(c.Told, r.Method, r.URL.Path); op != nil && len(told) > 0 {
		if media := op.Responses.Status(answer.StatusCode).Value.Content[mediaType(answer)]; media != nil {
			return value(media.Schema.Value, mediaType(answer), told)
		}
	}
	return nil, nil
}

// value reads a body of that media type.
func value(schema *openapi3.Schema, mediaType string, text []byte) (v any, err error) {
	if mediaType == "application/xml" {
		return readXML(schema, text)
	}
	err = json.Unmarshal(text, &v)
	return v, err
}

// body holds an answer's body against its schema, and a problem against the rest of
// the answer.
func body(schema *openapi3.Schema, answer *http.Response, text []byte) error {
	value, err := value(schema, mediaType(answer), text)
	if err != nil {
		return fmt.Errorf("the body cannot be read: %w: %.80q", err, text)
	}
	if err := schema.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors()); err != nil {
		return fmt.Errorf("the body: %w: %.500s", err, text)
	}
	if answer.Header.Get("Content-Type") == Problem {
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
func (c *Contract) headers(described openapi3.Headers, header http.Header) error {
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
func (c *Contract) checkUndescribed(item *openapi3.PathItem, r *http.Request, answer *http.Response, told []byte) error {
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
	return body(c.Told.Components.Schemas["Problem"].Value, answer, told)
}

// request returns what the document has against a request, or nil.
func (c *Contract) request(item *openapi3.PathItem, op *openapi3.Operation, params map[string]string, r *http.Request, asked []byte) error {
	event := op.OperationID == "receiveStripeEvent" // of what Stripe has signed, what can be read is read
	if token, sent := authenticate.Bearer(r.Header); sent && c.Tokens[token] == nil {
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
		Route: &routers.Route{Spec: c.Asked, PathItem: item, Operation: op},
		Options: &openapi3filter.Options{
			SkipSettingDefaults: true,
			ExcludeRequestBody:  event,
			AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
				if in.SecuritySchemeName == "signature" {
					return nil // the verifier's own tests look at that
				}
				token, sent := authenticate.Bearer(r.Header)
				for _, scope := range in.Scopes {
					sent = sent && slices.Contains(c.Tokens[token], scope)
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
	*Contract
	next http.RoundTripper
}

func (c checked) RoundTrip(r *http.Request) (*http.Response, error) {
	c.t.Helper()
	asked, told, answer := exchanged(c.t, c.next, r)
	if err := c.Check(r, asked, answer, told); err != nil {
		require.Failf(c.t, "not as the document has it", "%v\n%s", err, exchange(r, asked, answer, told))
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
