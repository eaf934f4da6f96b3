package chain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"clicktocode.example/04-middleware/chain"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/04-middleware/solution/authenticate"
	"clicktocode.example/04-middleware/solution/authorize"
	"clicktocode.example/04-middleware/solution/cors"
	"clicktocode.example/04-middleware/solution/deadline"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/04-middleware/solution/validate"
)

func TestNew(t *testing.T) {
	t.Run("a_good_request_passes", func(t *testing.T) {
		s := newShop(t, nil)
		answer := s.ask(ask("POST", "/orders", "{}").with("Authorization", "Bearer "+token("ada")))
		assert.Equal(t, "201 ada", answer.text())
		assert.NotEmpty(t, answer.Header.Get("X-Request-Id"))
		line := s.line(t)
		assert.Equal(t, "/orders 201 ada", fmt.Sprint(line["route"], " ", line["status"], " ", line["subject"]))
		assert.Equal(t, answer.Header.Get("X-Request-Id"), line["request_id"], "the log's ID is the client's")
	})

	// Whoever refuses, the answer is complete, and it is in the log.
	for name, row := range map[string]struct {
		req    *asked
		status int
	}{
		"no_route":             {ask("GET", "/wp-admin", ""), http.StatusNotFound},
		"a_slash_too_many":     {ask("GET", "/menu/", ""), http.StatusNotFound},
		"no_such_method":       {ask("DELETE", "/menu", ""), http.StatusMethodNotAllowed},
		"no_token":             {ask("POST", "/orders", "{}"), http.StatusUnauthorized},
		"a_bad_token":          {ask("GET", "/menu", "").with("Authorization", "Bearer x"), http.StatusUnauthorized},
		"a_scope_is_missing":   {ask("POST", "/orders", "{}").with("Authorization", "Bearer "+token("bob")), http.StatusForbidden},
		"a_form":               {ask("POST", "/orders", "a=b").with("Content-Type", "text/plain"), http.StatusUnsupportedMediaType},
		"an_image":             {ask("GET", "/menu", "").with("Accept", "image/png"), http.StatusNotAcceptable},
		"too_large":            {ask("POST", "/orders", strings.Repeat(" ", 2000)), http.StatusRequestEntityTooLarge},
		"a_panic":              {ask("GET", "/panic", ""), http.StatusInternalServerError},
		"a_panic_of_a_bouncer": {ask("GET", "/menu", "").with("Panic", "yes"), http.StatusInternalServerError},
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			s := newShop(t, func(c *chain.Config) {
				c.RateLimit.Client = func(c *gin.Context) netip.Addr {
					if c.GetHeader("Panic") != "" {
						panic("the store is broken")
					}
					return netip.Addr{}
				}
			})
			answer := s.ask(row.req.with("Origin", "https://partner.test"))
			s.refused(t, answer, row.status)
		})
	}

	t.Run("refuses_too_many", func(t *testing.T) {
		s := newShop(t, func(c *chain.Config) { c.RateLimit = ratelimit.Config{Rate: rate.Every(time.Hour), Burst: 1} })
		req := ask("GET", "/menu", "").with("Origin", "https://partner.test")
		require.Equal(t, http.StatusOK, s.ask(req).StatusCode)
		s.line(t)
		answer := s.ask(req)
		s.refused(t, answer, http.StatusTooManyRequests)
		assert.NotEmpty(t, answer.Header.Get("Retry-After"))
	})

	t.Run("refuses_too_slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(t, func(c *chain.Config) { c.Deadline = deadline.Config{Timeout: time.Second} })
			s.refused(t, s.ask(ask("GET", "/slow", "").with("Origin", "https://partner.test")), http.StatusGatewayTimeout)
		})
	})

	t.Run("says_which_methods_there_are", func(t *testing.T) {
		s := newShop(t, nil)
		assert.ElementsMatch(t, []string{"GET", "HEAD"}, strings.Split(s.ask(ask("PUT", "/menu", "{}")).Header.Get("Allow"), ", "))
	})

	t.Run("a_preflight_needs_no_token", func(t *testing.T) {
		s := newShop(t, nil)
		answer := s.ask(ask("OPTIONS", "/orders", "").with("Origin", "https://partner.test").
			with("Access-Control-Request-Method", "POST").with("Access-Control-Request-Headers", "authorization,content-type"))
		assert.Equal(t, http.StatusNoContent, answer.StatusCode)
		assert.Equal(t, "https://partner.test", answer.Header.Get("Access-Control-Allow-Origin"))
	})

	t.Run("health_passes_no_bouncer", func(t *testing.T) {
		s := newShop(t, func(c *chain.Config) { c.RateLimit = ratelimit.Config{Rate: rate.Every(time.Hour), Burst: 1} })
		for range 3 {
			answer := s.ask(ask("GET", "/healthz", "").with("Authorization", "Bearer x"))
			assert.Equal(t, "200 well\n", answer.text())
		}
		assert.Empty(t, s.log.String())
	})

	t.Run("health_as_told", func(t *testing.T) {
		s := newShop(t, func(c *chain.Config) {
			c.Health = func(c *gin.Context) { c.String(http.StatusServiceUnavailable, "leaving") }
		})
		assert.Equal(t, "503 leaving", s.ask(ask("GET", "/healthz", "")).text())
	})

	t.Run("a_gin_context_ends_with_the_request", func(t *testing.T) {
		s := newShop(t, nil)
		assert.Equal(t, "200 true", s.ask(ask("GET", "/context", "")).text())
	})
}

// httptest's requests come from 192.0.2.1.
func TestTrustedProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::7/128")}
	for name, row := range map[string]struct {
		trusted   []netip.Prefix
		forwarded []string
		want      string
	}{
		"nobody":                        {nil, []string{"198.51.100.7"}, "192.0.2.1"},
		"another":                       {[]netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}, []string{"198.51.100.7"}, "192.0.2.1"},
		"the_edge":                      {trusted, []string{"198.51.100.7"}, "198.51.100.7"},
		"the_edge_of_IPv6":              {trusted, []string{"2001:db8::99"}, "2001:db8::99"},
		"two_proxies":                   {trusted, []string{"198.51.100.7, 2001:db8::7"}, "198.51.100.7"},
		"what_a_client_wrote_before":    {trusted, []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		"what_a_client_wrote_in_a_line": {trusted, []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"nonsense":                      {trusted, []string{"unknown"}, "192.0.2.1"},
		"nothing":                       {trusted, nil, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, func(c *chain.Config) { c.TrustedProxies = row.trusted })
			req := ask("GET", "/whoami", "").with("X-Real-IP", "203.0.113.10")
			req.Header["X-Forwarded-For"] = row.forwarded
			assert.Equal(t, "200 "+row.want, s.ask(req).text())
		})
	}
}

func TestFaults(t *testing.T) {
	_, err := chain.New(chain.Config{
		TrustedProxies: []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::ffff:10.0.0.1/128")},
		Deadline:       deadline.Config{Timeout: -1},
		CORS:           cors.Config{Origins: []string{"shop.test"}},
		Validate:       validate.Config{MaxBody: -1},
	})
	for _, fault := range []string{
		"the zero prefix", "0.0.0.0/0 is everybody", "write it as IPv4", "deadline: Timeout", `cors: origin "shop.test"`,
		"ratelimit: Rate", "ratelimit: Burst", "validate: MaxBody", "authenticate: Issuer", "authenticate: Algorithm",
	} {
		assert.ErrorContains(t, err, fault)
	}
}

// Engines are made side by side, one for each replica, and gin's mode is the process'.
func TestSideBySide(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s := newShop(t, nil)
			for range 50 {
				assert.Equal(t, http.StatusOK, s.ask(ask("GET", "/menu", "")).StatusCode)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, gin.ReleaseMode, gin.Mode())
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// config is one that most tests can use.
func config(log *slog.Logger) chain.Config {
	return chain.Config{
		Log:       log,
		CORS:      cors.Config{Origins: []string{"https://partner.test"}, Headers: []string{"Authorization", "Content-Type"}},
		RateLimit: ratelimit.Config{Rate: rate.Inf, Burst: 1},
		Validate:  validate.Config{MaxBody: 1000},
		Authenticate: authenticate.Config{
			Algorithm: "HS256", Key: secret, Issuer: "https://shop.test", Audience: "https://shop.test/orders", Optional: true,
		},
	}
}

// token is one of subject, who may order if her name is ada.
func token(subject string) string {
	claims := authenticate.Claims{RegisteredClaims: jwt.RegisteredClaims{
		Issuer: "https://shop.test", Subject: subject, Audience: jwt.ClaimStrings{"https://shop.test/orders"},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)), IssuedAt: jwt.NewNumericDate(time.Now().Add(-time.Second)),
	}}
	if subject == "ada" {
		claims.Scope = "orders:read orders:write"
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		panic(err)
	}
	return signed
}

// shop is an engine with a few routes, and its log.
type shop struct {
	engine *gin.Engine
	log    *bytes.Buffer
}

func newShop(t *testing.T, change func(*chain.Config)) *shop {
	t.Helper()
	s := &shop{log: new(bytes.Buffer)}
	c := config(slog.New(slog.NewJSONHandler(s.log, nil)))
	if change != nil {
		change(&c)
	}
	var err error
	s.engine, err = chain.New(c)
	require.NoError(t, err)
	s.engine.Match([]string{"GET", "HEAD"}, "/menu", func(c *gin.Context) { c.JSON(http.StatusOK, []string{"soup"}) })
	s.engine.POST("/orders", authorize.Scope("orders:write"), func(c *gin.Context) {
		c.String(http.StatusCreated, request.From(c.Request.Context()).Subject)
	})
	s.engine.GET("/panic", func(*gin.Context) { panic(errors.New("no such dish")) })
	s.engine.GET("/slow", func(c *gin.Context) { <-c.Request.Context().Done() })
	s.engine.GET("/whoami", func(c *gin.Context) { c.String(http.StatusOK, c.ClientIP()) })
	s.engine.GET("/context", func(c *gin.Context) {
		_, has := c.Deadline()
		c.String(http.StatusOK, "%v", has && request.ID(c) != "")
	})
	return s
}

type asked struct{ *http.Request }

func ask(method, path, body string) *asked {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return &asked{req}
}

func (a *asked) with(name, value string) *asked {
	a.Header.Set(name, value)
	return a
}

type answer struct{ *http.Response }

func (a answer) text() string {
	text, _ := io.ReadAll(a.Body)
	return fmt.Sprint(a.StatusCode, " ", string(text))
}

func (s *shop) ask(a *asked) answer {
	rec := httptest.NewRecorder()
	s.engine.ServeHTTP(rec, a.Request)
	return answer{rec.Result()}
}

// line is the access log's only line since it was asked for last.
func (s *shop) line(t *testing.T) map[string]any {
	t.Helper()
	var lines []map[string]any
	for d := json.NewDecoder(s.log); ; {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		if line["msg"] == "request" {
			lines = append(lines, line)
		}
	}
	require.Len(t, lines, 1, "lines of the access log")
	return lines[0]
}

// refused asserts that an answer to a partner's script is a problem that has all that
// answers have, and is in the log.
func (s *shop) refused(t *testing.T, answer answer, status int) {
	t.Helper()
	assert.Equal(t, status, answer.StatusCode)
	assert.Equal(t, problem.ContentType, answer.Header.Get("Content-Type"))
	var d problem.Details
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&d))
	assert.Equal(t, status, d.Status)
	assert.NotEmpty(t, d.Detail)
	h := answer.Header
	assert.NotEmpty(t, h.Get("X-Request-Id"))
	assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), "of package secure")
	assert.Equal(t, "no-store", h.Get("Cache-Control"))
	assert.Equal(t, "https://partner.test", h.Get("Access-Control-Allow-Origin"), "a script may read why")
	line := s.line(t)
	assert.EqualValues(t, status, line["status"])
	assert.Equal(t, h.Get("X-Request-Id"), line["request_id"])
}
