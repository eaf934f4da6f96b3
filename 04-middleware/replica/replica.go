// Package replica is what a replica of chapter 4 is: the bouncers, and behind them
// chapter 3's little kitchen, until chapter 5 brings the chefs.
//
//	GET  /menu      open to all
//	POST /orders    wants a token with the scope orders:write
//	POST /session   a token for a guest: see package guest
//	any  /echo      the request as it arrived, for trying
//	GET  /slow      answers after as many seconds as ?seconds= says, for trying the deadline
//	GET  /healthz   ahead of the bouncers
package replica

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"clicktocode.example/03-reverse-proxy/kitchen"
	"clicktocode.example/04-middleware/chain"
	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/solution/authorize"
	"clicktocode.example/04-middleware/solution/cors"
	"clicktocode.example/04-middleware/solution/deadline"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/04-middleware/solution/validate"
)

// API are the path prefixes that a replica answers.
var API = []string{"/menu", "/orders", "/session", "/echo", "/slow"}

// Bounds on what a client may take. The edges wait 5 seconds for an answer: a
// deadline beyond that would never be seen, as they would have asked another replica.
const (
	timeout = 3 * time.Second
	perSec  = 20 // requests of one client, for ever,
	burst   = 40 // and at once
	maxBody = 64 << 10
	maxSlow = 600 // seconds
)

// Config is what a replica works with. Name and Key are required.
type Config struct {
	Name           string
	Key            *issuer.Key
	TrustedProxies []netip.Prefix   // chain.Config's
	Origins        []string         // cors.Config's
	RateLimit      ratelimit.Config // the zero value: 20 a second, 40 at once
	Development    bool             // chain.Config's
	Log            *slog.Logger     // nil is slog.Default()
}

// New returns a replica. err names all faults of c.
func New(c Config) (*gin.Engine, error) {
	if c.RateLimit.Rate == 0 && c.RateLimit.Burst == 0 {
		c.RateLimit.Rate, c.RateLimit.Burst = rate.Limit(perSec), burst
	}
	who := c.Key.Config()
	who.Optional = true // the menu is open to all: routes that are not begin with authorize
	engine, err := chain.New(chain.Config{
		TrustedProxies: c.TrustedProxies,
		Log:            c.Log,
		Development:    c.Development,
		Deadline:       deadline.Config{Timeout: timeout},
		CORS: cors.Config{
			Origins: c.Origins, Headers: []string{"Authorization", "Content-Type", "Idempotency-Key"},
			Expose: []string{"Location", "Retry-After", "X-Request-ID"}, MaxAge: 10 * time.Minute,
		},
		RateLimit:    c.RateLimit,
		Validate:     validate.Config{MaxBody: maxBody},
		Authenticate: who,
	})
	if err != nil {
		return nil, err
	}
	kitchen := gin.WrapH(kitchen.New(c.Name))
	engine.Match([]string{http.MethodGet, http.MethodHead}, "/menu", kitchen)
	engine.POST("/orders", authorize.Scope("orders:write"), kitchen)
	engine.POST("/session", guest.Session(c.Key))
	engine.Any("/echo", kitchen)
	engine.GET("/slow", slow)
	return engine, nil
}

// slow waits as long as the query's seconds say, or until the request has ended.
func slow(c *gin.Context) {
	seconds, err := strconv.Atoi(c.Query("seconds"))
	if err != nil || seconds < 0 || seconds > maxSlow {
		problem.Abort(c, problem.Details{Status: http.StatusBadRequest, Detail: "Say how long, as in /slow?seconds=2: a whole number, from 0 to 600."})
		return
	}
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
		c.JSON(http.StatusOK, gin.H{"waited": seconds})
	case <-c.Request.Context().Done(): // deadline answers, if anybody is left to be answered
	}
}
