package apitest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/api"
)

// The judge itself: it must see what is not described.
func TestContract(t *testing.T) {
	c := New(t, api.Document())
	s := NewStand(t, c)
	id := s.Place(c.Ada, "k1")
	judge := func(change func(answer *http.Response, told *[]byte)) error {
		r := NewRequest(t.Context(), t, "GET", "/orders/"+id, c.Ada, "")
		answer, err := Inside(s.Engine).RoundTrip(r)
		require.NoError(t, err)
		told, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		change(answer, &told)
		return c.Check(r, nil, answer, told)
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
		"no key":          NewRequest(t.Context(), t, "POST", "/orders", c.Ada, Ramen),
		"no scope":        NewRequest(t.Context(), t, "POST", "/orders", c.Nobody, Ramen, "Idempotency-Key", "k2"),
		"another's token": NewRequest(t.Context(), t, "GET", "/menu", "eyJ", ""),
		"a name twice":    NewRequest(t.Context(), t, "POST", "/orders", c.Ada, `{"lines": [], "lines": [{"dish": "ramen", "quantity": 1}]}`, "Idempotency-Key", "k2"),
		"too many lines":  NewRequest(t.Context(), t, "POST", "/orders", c.Ada, `{"lines": [`+strings.Repeat(`{"dish": "tea", "quantity": 1},`, 50)+`{"dish": "tea", "quantity": 1}]}`, "Idempotency-Key", "k2"),
		"no number":       NewRequest(t.Context(), t, "GET", "/orders?limit=x", c.Ada, ""),
	} {
		item, op, params := operation(c.Asked, r.Method, r.URL.Path)
		asked, _ := io.ReadAll(r.Body)
		assert.Error(t, c.request(item, op, params, r, asked), as)
	}
	for _, body := range []string{Ramen, `{"lines": [{"dish": "ramen", "quantity": 1}], "payment_method": null}`} {
		r := NewRequest(t.Context(), t, "POST", "/orders", c.Ada, body, "Idempotency-Key", "k2")
		item, op, params := operation(c.Asked, r.Method, r.URL.Path)
		assert.NoError(t, c.request(item, op, params, r, []byte(body)), body)
	}
}
