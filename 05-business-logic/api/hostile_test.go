package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/hostile"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/apitest"
)

// Ten thousand hostile requests to the routes of this chapter, each of them refused:
// with a status of 4xx, by a problem that tells nothing of the inside, as the document
// has it, without a panic, and with one line in the log. They come by real HTTP.
func TestHostile(t *testing.T) {
	t.Parallel()
	c := apitest.New(t, api.Document())
	s := apitest.NewStand(t, c)
	addr := serve(t, s)
	id := s.Place(c.Ada, "k1")
	count := 10_000
	if raceEnabled() {
		count = 1000 // which is ten times slower
	}
	// Those of chapter 4, sent to each route that would do something; and others.
	var kinds []func() (hostile.Request, bool)
	for seed, row := range [][2]string{
		{"/orders", c.Ada}, {"/orders", c.Ada}, {"/orders/" + id + "/advance", c.Chef}, {"/orders/17/cancel", c.Ada}, {"/webhooks/stripe", c.Ada},
	} {
		next, stop := iter.Pull(hostile.Requests(hostile.Config{Seed: uint64(seed), Token: row[1], Other: c.Nobody, Path: row[0], MaxBody: api.MaxBody}))
		defer stop()
		kinds = append(kinds, next)
	}
	random := rand.New(rand.NewPCG(5, 5))
	own := func() (hostile.Request, bool) { return hostileHere(random, c, id), true }
	kinds = append(kinds, own, own, own)

	sent := map[string]int{}
	line := &hostile.Client{Addr: addr}
	defer line.Close()
	for n := range count {
		r, _ := kinds[n%len(kinds)]()
		sent[r.Kind]++
		answer, told, err := line.Send(r)
		require.NoError(t, err, "%d, %s: %s %.200s: no answer", n, r.Kind, r.Method, r.Target)
		var d struct{ Title, Detail string }
		fault := ""
		switch isJSON := json.Unmarshal(told, &d) == nil; {
		case answer.StatusCode < 400 || answer.StatusCode > 499:
			fault = "the status is not 4xx"
		case answer.Header.Get("Content-Type") != apitest.Problem:
			fault = "it is no problem"
		case r.Method != "HEAD" && (!isJSON || d.Title == "" || d.Detail == ""):
			fault = "the problem is not complete"
		}
		if request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.Text()))); err == nil {
			asked, _ := io.ReadAll(request.Body)
			if err := c.Check(request, asked, answer, told); err != nil {
				fault = err.Error()
			}
		}
		said := strings.ReplaceAll(string(told)+fmt.Sprint(answer.Header), answer.Header.Get("X-Request-Id"), "") // random letters
		for _, leak := range leaks {
			if strings.Contains(said, leak) {
				fault = fmt.Sprintf("it tells of the inside: %q", leak)
			}
		}
		if fault != "" {
			require.Failf(t, fault, "%d, %s: %s %.200s %.500q, body %.300q\nanswered by %d %q %s", n, r.Kind, r.Method, r.Target, r.Header, r.Body, answer.StatusCode, answer.Header, told)
		}
	}
	for kind, n := range sent {
		t.Logf("%5d %s", n, kind)
	}
	log := s.Log.String()
	assert.NotContains(t, log, `"msg":"panic"`)
	assert.NotContains(t, log, hostile.Secret, "a secret in the log")
	assert.NotContains(t, log, "eyJ", "a token in the log")
	assert.Equal(t, count+1, strings.Count(log, `"msg":"request"`), "lines of the access log")
	assert.Empty(t, s.Settled)
	assert.NotEmpty(t, s.Place(c.Ada, "k2"), "and who is no enemy is served")
}

// leaks are what must not be in an answer: see chapter 4's.
var leaks = []string{
	"invalid character", "unmarshal", "unexpected e", "json: cannot", "json: invalid", "json: unknown", "strconv", "segment", "jwt", "EOF", "runtime", "goroutine", ".go:", "panic", "nil pointer", "github.com", "clicktocode", "golang",
	"ordering:", "placeorder:", "memory:", "webhook:", "idempotency:", "order: ", "db-3", "127.0.0.1", hostile.Secret, apitest.Secret, "eyJ", folder(),
}

func folder() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}

// hostileHere makes requests that are hostile to the routes of this chapter alone.
func hostileHere(random *rand.Rand, c *apitest.Contract, id string) hostile.Request {
	of := func(all ...string) string { return all[random.IntN(len(all))] }
	octets := func(most int) []byte {
		b := make([]byte, 1+random.IntN(most))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	bad := func() string { return url.QueryEscape(string(octets(30))) }
	r := hostile.Request{Method: "GET", Header: []hostile.Field{{Name: "Authorization", Value: "Bearer " + c.Chef}}}
	add := func(name, value string) { r.Header = append(r.Header, hostile.Field{Name: name, Value: value}) }
	switch random.IntN(7) {
	case 0:
		r.Kind = "query: list"
		r.Target = "/orders?" + of("limit=0", "limit=101", "limit=-9223372036854775808", "limit=1e2", "limit=%31%30%30%30", "limit=5&limit=5", "limit", "limit="+bad()+"x",
			"state=eaten", "state=PAID", "state=paid%00", "state=paid'%20OR%20'1'='1", "state=", "after=", "after=LjE", "after=MTcu", "after=MTc3NzY1ODQwMDAwMDAwMC4A", "after="+strings.Repeat("A", 8000),
			"after=!"+bad(), "%zz", "a;b", "limit=5;state=paid", "%=1", "stat=paid", "LIMIT=5", "limit=5&page=2", "access_token="+c.Chef)
	case 1:
		r.Kind = "path: order"
		target := "/orders/" + of("%00", "%ff%fe", bad()+"%00", "..%5c..%5cetc%5cpasswd", "'%20OR%20'1'='1", "${jndi:ldap:}", id+"%00", id+"%20", "%20"+id, strings.ToUpper(id), id+"-2", strings.Repeat("a", 7000), "..", ".", "*")
		r.Method, r.Target = "GET", target
		if random.IntN(2) == 0 {
			r.Method, r.Target = "POST", target+"/cancel"
		}
	case 2:
		r.Kind = "another's order"
		r.Header[0].Value = "Bearer " + c.Bob
		r.Target = "/orders/" + id
		if random.IntN(2) == 0 {
			r.Method, r.Target = "POST", r.Target+"/cancel"
		}
	case 3:
		r.Kind = "body: advance"
		r.Method, r.Target = "POST", "/orders/"+id+"/advance"
		add("Content-Type", "application/json")
		r.Body = []byte(of(`{}`, `{"to":null}`, `{"to":""}`, `{"to":"cancelled"}`, `{"to":"paid"}`, `{"to":"cancelling"}`, `{"to":"pending"}`, `{"to":["preparing"]}`, `{"to":"preparing","to":"delivered"}`, `{"TO":"preparing"}`, `{"to":"preparing","force":true}`,
			`{"to":"preparing"}{"to":"delivered"}`, `{"to":"delivered"}`, `{"to":"preparing\u0000"}`, `["preparing"]`, `"preparing"`, "{\"to\":\"\xff\"}", strings.Repeat(`{"to":`, 5000), `{"to":"`+strings.Repeat("x", 60_000)+`"}`))
	case 4:
		r.Kind = "key"
		r.Method, r.Target, r.Body = "POST", "/orders", []byte(apitest.Ramen)
		add("Content-Type", "application/json")
		switch random.IntN(3) {
		case 0:
		case 1:
			add("Idempotency-Key", of(`""`, `"`, `a b`, `a,b`, `a;b`, `a"b`, `a\b`, "é", strings.Repeat("k", 256), strings.Repeat("k", 9000), "k\tk"))
		case 2:
			add("Idempotency-Key", "a")
			add("Idempotency-Key", of("a", "b"))
		}
	default:
		r.Kind = "signature"
		r.Header = nil
		payload, good := apitest.Event("evt_" + hostile.Secret)
		r.Method, r.Target, r.Body = "POST", "/webhooks/stripe", []byte(payload)
		add("Content-Type", "application/json; charset=utf-8")
		spoilt := []byte(good)
		spoilt[len(spoilt)-1-random.IntN(64)] ^= 1 // another digit, or none
		digest := good[strings.LastIndex(good, "=")+1:]
		switch value := of("", string(spoilt), strings.Replace(good, "v1=", "v0=", 1), strings.Replace(good, "t=", "t=1", 1), "v1="+digest, good[:len(good)-1], strings.ToUpper(good), "t=,v1=", ",,,", strings.Repeat("v1="+digest+",", 500)+"t=1",
			apitest.Sign(payload, time.Now().Add(-time.Hour)), apitest.Sign(payload, time.Now().Add(time.Hour)), "altered", "no event"); value {
		case "altered":
			r.Body = append(r.Body, ' ')
			add("Stripe-Signature", good)
		case "no event":
			r.Body = []byte(of("{}", "null", "[]", "7", `{"id":"evt_1"}`, `{"id":"evt_1","object":"account","type":"x"}`, `{"id":7,"object":"event","type":"x"}`, "{", string(octets(100))))
			add("Stripe-Signature", apitest.Sign(string(r.Body), time.Now()))
		case "":
		default:
			add("Stripe-Signature", value)
		}
	}
	r.Chunked = r.Body != nil && random.IntN(3) == 0
	return r
}

// serve serves s by HTTP until the test ends, and returns the address.
func serve(t testing.TB, s *apitest.Stand) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: s.Engine, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	return ln.Addr().String()
}
