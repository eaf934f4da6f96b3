package chain_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/chain"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/secure"
	"clicktocode.example/04-middleware/solution/authenticate"
	"clicktocode.example/04-middleware/solution/cors"
	"clicktocode.example/04-middleware/solution/deadline"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/04-middleware/solution/recovery"
	"clicktocode.example/04-middleware/solution/requestid"
	"clicktocode.example/04-middleware/solution/validate"
)

// writer is one as net/http has it: its header is a new map for each request, which
// grows with the fields.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}

// costs are what is compared, each as a function that does it once.
type costs struct {
	bare  func() // gin, and a handler that answers with a little JSON
	open  func() // and the chain without accesslog and authenticate
	whole func() // and the whole chain, with a token
	parse func() // jwt.ParseWithClaims of that token, alone
	line  func() // the access log's line, alone
}

// newCosts has the log, the tokens and the edge in front that the stack has.
func newCosts(tb testing.TB) costs {
	log := slog.New(slog.NewTextHandler(io.Discard, nil)).With("role", "a")
	key, err := issuer.Open(tb.TempDir())
	require.NoError(tb, err)
	token, err := key.Sign("ada", []string{"orders:read", "orders:write"}, time.Hour)
	require.NoError(tb, err)
	c := config(log)
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
	c.RateLimit = ratelimit.Config{Rate: 1e9, Burst: 1e9} // a bucket that is never empty, but is counted
	c.Authenticate = key.Config()
	req := ask("GET", "/menu", "").with("Accept", "application/json").with("Authorization", "Bearer "+token).with("X-Forwarded-For", "198.51.100.7").Request

	menu := struct {
		Dishes []string `json:"dishes"`
	}{[]string{"ramen", "gyoza"}}
	serve := func(engine *gin.Engine) func() {
		engine.GET("/menu", func(c *gin.Context) { c.JSON(http.StatusOK, menu) })
		w := new(writer)
		return func() {
			w.header = make(http.Header)
			engine.ServeHTTP(w, req)
		}
	}
	gin.SetMode(gin.ReleaseMode)
	open := gin.New()
	open.RemoteIPHeaders = []string{"X-Forwarded-For"}
	require.NoError(tb, open.SetTrustedProxies([]string{"192.0.2.1/32"}))
	for _, make := range []func() (gin.HandlerFunc, error){
		func() (gin.HandlerFunc, error) { return requestid.New(c.RequestID) },
		func() (gin.HandlerFunc, error) { return recovery.New(recovery.Config{Log: log}) },
		func() (gin.HandlerFunc, error) { return deadline.New(c.Deadline) },
		func() (gin.HandlerFunc, error) { return secure.New(c.Secure) },
		func() (gin.HandlerFunc, error) { return cors.New(c.CORS) },
		func() (gin.HandlerFunc, error) { return ratelimit.New(c.RateLimit) },
		func() (gin.HandlerFunc, error) { return validate.New(c.Validate) },
	} {
		h, err := make()
		require.NoError(tb, err)
		open.Use(h)
	}
	whole, err := chain.New(c)
	require.NoError(tb, err)
	return costs{
		bare: serve(gin.New()), open: serve(open), whole: serve(whole),
		parse: func() {
			_, err := jwt.ParseWithClaims(token, &authenticate.Claims{}, func(*jwt.Token) (any, error) { return c.Authenticate.Key, nil })
			if err != nil {
				tb.Fatal(err)
			}
		},
		line: func() {
			log.LogAttrs(tb.Context(), slog.LevelInfo, "request", slog.String("method", "GET"), slog.String("route", "/menu"),
				slog.Int("status", 200), slog.Int("bytes", 2), slog.Duration("duration", 12345), slog.String("request_id", "LB5G4QMOFTI6XCBNSCRGJOHG2G"),
				slog.String("client", "198.51.100.7"), slog.String("subject", "ada"))
		},
	}
}

// BenchmarkChain measures each of the costs, and then, turn by turn, so that what
// else the machine does disturbs all alike, their relations:
//
//	open-ns         the chain without log and token, over bare gin: at most 3000 are wanted
//	chain-ns        the whole chain, over bare gin
//	parts-ns        a bare jwt.ParseWithClaims and one slog line, which the chain cannot do without
//	chain-to-parts  the last two: at most 1.5 is wanted
func BenchmarkChain(b *testing.B) {
	c := newCosts(b)
	for _, row := range []struct {
		name string
		run  func()
	}{{"bare", c.bare}, {"open", c.open}, {"whole", c.whole}, {"parse", c.parse}, {"line", c.line}} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				row.run()
			}
		})
	}
	b.Run("relations", func(b *testing.B) {
		runs := []func(){c.bare, c.open, c.whole, c.parse, c.line}
		const each = 10 // less than the scheduler gives at a time, or the others would be measured, too
		rounds := make([][]float64, len(runs))
		for b.Loop() {
			for i, run := range runs {
				start := time.Now()
				for range each {
					run()
				}
				rounds[i] = append(rounds[i], float64(time.Since(start))/each)
			}
		}
		median := func(i int) float64 {
			slices.Sort(rounds[i])
			return rounds[i][len(rounds[i])/2]
		}
		bare, open, whole, parse, line := median(0), median(1), median(2), median(3), median(4)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(open-bare, "open-ns")
		b.ReportMetric(whole-bare, "chain-ns")
		b.ReportMetric(parse+line, "parts-ns")
		b.ReportMetric((whole-bare)/(parse+line), "chain-to-parts")
	})
}
