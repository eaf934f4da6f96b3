package replica_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/hostile"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/replica"
	"clicktocode.example/04-middleware/solution/ratelimit"
)

const order = `{"lines":[{"dish":"ramen","quantity":1}]}`

func TestReplica(t *testing.T) {
	s := newStand(t)
	ada := s.sign(t, "ada", "orders:write")

	t.Run("the_menu_is_open_to_all", func(t *testing.T) {
		for _, method := range []string{"GET", "HEAD"} {
			answer := s.ask(t, method, "/menu", "", "")
			assert.Equal(t, http.StatusOK, answer.StatusCode, method)
			assert.Contains(t, answer.Header.Get("Cache-Control"), "public", "secure leaves that to the kitchen")
		}
	})
	t.Run("an_order_wants_a_token", func(t *testing.T) {
		assert.Equal(t, http.StatusCreated, s.ask(t, "POST", "/orders", ada, order).StatusCode)
		assert.Equal(t, http.StatusUnauthorized, s.ask(t, "POST", "/orders", "", order).StatusCode)
		assert.Equal(t, http.StatusForbidden, s.ask(t, "POST", "/orders", s.sign(t, "bob", "orders:read"), order).StatusCode)
	})
	t.Run("a_guest_gets_one", func(t *testing.T) {
		answer := s.ask(t, "POST", "/session", "", "")
		assert.Equal(t, http.StatusCreated, answer.StatusCode)
		assert.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
		var session struct {
			Token string `json:"token"`
		}
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&session))
		assert.Equal(t, http.StatusCreated, s.ask(t, "POST", "/orders", session.Token, order).StatusCode)
	})
	t.Run("it_is_slow_on_request", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, s.ask(t, "GET", "/slow?seconds=0", "", "").StatusCode)
		assert.Equal(t, http.StatusBadRequest, s.ask(t, "GET", "/slow?seconds=-1", "", "").StatusCode)
	})
	t.Run("it_is_well", func(t *testing.T) {
		assert.Equal(t, http.StatusOK, s.ask(t, "GET", "/healthz", "", "").StatusCode)
	})
}

// Ten thousand hostile requests, each of them refused: with a status of 4xx, by a
// problem that tells nothing of the inside, without a panic, and with one line in the
// log. They come by real HTTP.
func TestHostile(t *testing.T) {
	s := newStand(t)
	count := 10_000
	if raceEnabled() {
		count = 1000 // which is ten times slower
	}
	kinds, n := map[string]int{}, 0
	c := &hostile.Client{Addr: s.addr}
	defer c.Close()
	for r := range hostile.Requests(hostile.Config{
		Seed: 4, Token: s.sign(t, "ada", "orders:write"), Other: s.sign(t, "bob", "orders:read"), Path: "/orders", MaxBody: 64 << 10,
	}) {
		answer, body, err := c.Send(r)
		require.NoError(t, err, "%d, %s: %s %.200s: no answer", n, r.Kind, r.Method, r.Target)
		id := answer.Header.Get("X-Request-Id")
		var d problem.Details
		fault := ""
		switch isJSON := json.Unmarshal(body, &d) == nil; {
		case answer.StatusCode < 400 || answer.StatusCode > 499:
			fault = "the status is not 4xx"
		case answer.Header.Get("Content-Type") != problem.ContentType:
			fault = "it is no problem"
		case r.Method != "HEAD" && (!isJSON || d.Status != answer.StatusCode || d.Title == "" || d.Detail == ""):
			fault = "the problem is not complete"
		case !sane.MatchString(id):
			fault = "it has no request ID"
		case answer.Header.Get("X-Content-Type-Options") != "nosniff":
			fault = "it has no security headers"
		}
		told := strings.ReplaceAll(string(body)+fmt.Sprint(answer.Header), id, "") // random letters
		for _, leak := range leaks {
			if strings.Contains(told, leak) {
				fault = fmt.Sprintf("it tells of the inside: %q", leak)
			}
		}
		if fault != "" {
			require.Failf(t, fault, "%d, %s: %s %.200s %.500q, body %.300q\nanswered by %d %q %s", n, r.Kind, r.Method, r.Target, r.Header, r.Body, answer.StatusCode, answer.Header, body)
		}
		kinds[r.Kind]++
		if n++; n == count {
			break
		}
	}
	for kind, n := range kinds {
		t.Logf("%5d %s", n, kind)
	}
	log := s.log.String()
	assert.NotContains(t, log, `"msg":"panic"`)
	assert.NotContains(t, log, hostile.Secret, "a secret in the log")
	assert.NotContains(t, log, "eyJ", "a token in the log")
	assert.Equal(t, count, strings.Count(log, `"msg":"request"`), "lines of the access log")
	assert.Equal(t, http.StatusCreated, s.ask(t, "POST", "/orders", s.sign(t, "ada", "orders:write"), order).StatusCode, "and who is no enemy is served")
}

// leaks are what must not be in an answer: texts of Go's errors, names of packages,
// types and files, the folder that this runs in, secrets. What a client sent may come
// back in a detail, so hostile requests do not hold these words, but for Secret.
var leaks = []string{
	"invalid character", "unmarshal", "unexpected e", "json: cannot", "json: invalid", "json: unknown", "strconv", "token is malformed", "token is unverifiable", "token has", "token contains",
	"signature", "segment", "jwt", "EOF", "runtime", "goroutine", ".go:", "panic", "*http", "nil pointer", "github.com", "clicktocode", "golang",
	"127.0.0.1", hostile.Secret, "eyJ", folder(),
}

var sane = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,64}$`)

func folder() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}

// stand is a replica that serves on loopback.
type stand struct {
	addr string
	key  *issuer.Key
	log  *buffer
}

func newStand(t *testing.T) *stand {
	t.Helper()
	key, err := issuer.Open(t.TempDir())
	require.NoError(t, err)
	s := &stand{key: key, log: new(buffer)}
	engine, err := replica.New(replica.Config{
		Name: "a", Key: key, RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1}, Log: slog.New(slog.NewJSONHandler(s.log, nil)),
	})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: engine, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(s.log, nil), slog.LevelError)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	s.addr = ln.Addr().String()
	return s
}

func (s *stand) sign(t *testing.T, subject string, scopes ...string) string {
	t.Helper()
	token, err := s.key.Sign(subject, scopes, time.Hour)
	require.NoError(t, err)
	return token
}

func (s *stand) ask(t *testing.T, method, target, token, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr+target, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// buffer is a bytes.Buffer for many.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
