// Package chain is all of chapter 4 in a row: an engine of gin, set up as an
// operator would, with the bouncers in front of every route. The chapters behind
// call New, and register their routes on what it returns.
//
//	requestid → accesslog → recovery → deadline → secure → cors → ratelimit → validate → authenticate → (authorize → handler)
//
// A request passes them from left to right, and the answer from right to left. So
// who stands further left sees all that happens further right, a refusal and a
// panic included; and who stands further right is spared what was refused before.
// Each has its place for a reason:
//
//   - requestid is first: whatever is written about a request, by anyone behind,
//     bears its ID, and so does every answer.
//   - accesslog stands before all who may answer, so that it sees every answer,
//     refusals and the 500 of a panic included.
//   - recovery stands behind accesslog, to which a panic is a status then, and
//     before everybody else: bouncers can fall, too.
//   - deadline bounds what stands behind it. Recovery and the log need no bound.
//   - secure stands before all who refuse: their answers need its fields, too.
//   - cors as well: a script may read only what cors has allowed, and it should be
//     able to read why it was refused. And before authenticate, because a preflight
//     never has a token.
//   - ratelimit stands before whatever costs something: it is there to save that.
//   - validate looks at a few fields. Authenticate checks a signature, which takes
//     longer, so it comes later.
//   - authenticate is last, and first to know who it is. What they may do depends
//     on the route: authorize is registered with it.
package chain

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/secure"
	"clicktocode.example/04-middleware/solution/accesslog"
	"clicktocode.example/04-middleware/solution/authenticate"
	"clicktocode.example/04-middleware/solution/cors"
	"clicktocode.example/04-middleware/solution/deadline"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/04-middleware/solution/recovery"
	"clicktocode.example/04-middleware/solution/requestid"
	"clicktocode.example/04-middleware/solution/validate"
)

// Config says how the bouncers work. RateLimit and Authenticate have no defaults
// that would fit everyone; the zero value of the others does.
type Config struct {
	// TrustedProxies are those whose X-Forwarded-For is believed: the addresses that
	// the edges' requests come from. They are proxies, and not the network that they
	// are in, since every machine there would be believed. None means nobody, and the
	// client's address is that of the connection.
	TrustedProxies []netip.Prefix
	// Log gets the access log and the panics. nil means slog.Default().
	Log *slog.Logger
	// Health answers GET and HEAD of /healthz, ahead of all bouncers: the edges ask
	// several times a second, and must not be logged or limited. nil answers 200.
	Health gin.HandlerFunc
	// Before is called ahead of all bouncers, for who counts or follows requests. It
	// must not answer. nil is nobody.
	Before gin.HandlerFunc
	// Development lets gin print its routes and warnings to standard error. gin knows
	// one mode for the whole process: the New that was called last decides.
	Development bool

	RequestID requestid.Config
	Deadline  deadline.Config
	Secure    secure.Config
	CORS      cors.Config
	RateLimit ratelimit.Config
	Validate  validate.Config
	// Authenticate's Optional lets requests without a token through to the routes. For
	// a service with a route that is open to all it is true, and every other route
	// begins with authorize.
	Authenticate authenticate.Config
}

// New returns an engine with all the bouncers in front, and without routes, but
// for /healthz. A path that has no route is answered by a problem with status 404, a
// method that its route does not have by 405, with the field Allow; the bouncers
// stand before these, too. A path is taken as it is: no slash is added or removed.
//
// Routes are registered before the engine serves. HEAD needs a route of its own
// beside GET. The engine may then be used by many goroutines at once.
//
// err names all faults of c at once, those of each bouncer's Config included.
func New(c Config) (*gin.Engine, error) {
	setMode(c.Development)
	engine := gin.New() // not Default: that has a logger, which prints paths and queries, and a recovery of its own

	faults := []error{c.trust(engine)}
	var bouncers []gin.HandlerFunc
	add := func(h gin.HandlerFunc, err error) {
		bouncers, faults = append(bouncers, h), append(faults, err)
	}
	if c.Before != nil {
		add(c.Before, nil)
	}
	add(requestid.New(c.RequestID))
	add(accesslog.New(accesslog.Config{Log: c.Log}))
	add(recovery.New(recovery.Config{Log: c.Log}))
	add(deadline.New(c.Deadline))
	add(secure.New(c.Secure))
	add(cors.New(c.CORS))
	add(ratelimit.New(c.RateLimit))
	add(validate.New(c.Validate))
	add(authenticate.New(c.Authenticate))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}

	engine.RedirectTrailingSlash = false // a redirect would be sent before any bouncer is asked
	engine.HandleMethodNotAllowed = true // otherwise the wrong method is "not found"
	engine.ContextWithFallback = true    // a *gin.Context that is passed as a context ends with the request's
	engine.MaxMultipartMemory = 1 << 20  // of a form, the rest goes to temporary files; gin's own bound is 32 MiB

	health := c.Health
	if health == nil {
		health = func(c *gin.Context) { c.String(http.StatusOK, "well\n") }
	}
	engine.Match([]string{http.MethodGet, http.MethodHead}, "/healthz", health) // before Use, which concerns later routes
	engine.Use(bouncers...)
	engine.NoRoute(refuse(http.StatusNotFound, "There is nothing at this address."))
	engine.NoMethod(refuse(http.StatusMethodNotAllowed, "This address does not know the method: the field Allow lists those that it does."))
	return engine, nil
}

// trust makes gin take the client's address from X-Forwarded-For where a trusted
// proxy says so, and from nowhere else.
func (c Config) trust(engine *gin.Engine) error {
	var faults []error
	var proxies []string
	for _, p := range c.TrustedProxies {
		switch {
		case !p.IsValid():
			faults = append(faults, errors.New("chain: a trusted proxy is the zero prefix"))
		case p.Bits() == 0:
			faults = append(faults, fmt.Errorf("chain: trusted proxy %v is everybody: each client could choose its own address", p))
		case p.Addr().Is4In6():
			faults = append(faults, fmt.Errorf("chain: trusted proxy %v never matches: write it as IPv4", p))
		}
		proxies = append(proxies, p.String())
	}
	engine.RemoteIPHeaders = []string{"X-Forwarded-For"} // X-Real-IP, gin's second choice, is passed on by our edge as it came
	if len(faults) == 0 {
		faults = append(faults, engine.SetTrustedProxies(proxies)) // unset, gin trusts everybody
	}
	return errors.Join(faults...)
}

// refuse answers all requests with a problem.
func refuse(status int, detail string) gin.HandlerFunc {
	return func(c *gin.Context) {
		problem.Abort(c, problem.Details{Status: status, Detail: detail})
	}
}

var mode sync.Mutex // guards gin's mode and its printer, which are the process'

func setMode(development bool) {
	mode.Lock()
	defer mode.Unlock()
	if !development {
		gin.SetMode(gin.ReleaseMode)
		return
	}
	if gin.DebugPrintFunc == nil {
		gin.DebugPrintFunc = func(format string, values ...any) { // standard output is for events
			fmt.Fprintln(os.Stderr, "gin:", strings.TrimSpace(fmt.Sprintf(format, values...)))
		}
	}
	gin.SetMode(gin.DebugMode)
}
