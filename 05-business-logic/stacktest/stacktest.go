// Package stacktest runs a whole stack in a test, over real sockets: its roles in this
// process, where goroutines that are left behind are found, or each as a process of its
// own, which can be killed. And it plays those who click on "Buy now", again and again,
// and the auditor who counts afterwards.
package stacktest

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/freeport"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/issuer"
)

// Patience is how long anything may take that is not measured.
const Patience = 20 * time.Second

// Environment is that of a stack of t's own: a folder for keys and state, for each of
// names, such as "EDGE1", an address that was free a moment ago, and no other setting of
// chapters 1 to 5.
func Environment(t testing.TB, names ...string) map[string]string {
	t.Helper()
	env := map[string]string{"WORKSHOP_DIR": t.TempDir()}
	for _, name := range []string{"TRUSTED_PROXIES", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "SENDGRID_API_KEY", "MAIL_TO", "MAIL_FROM", "PICKER", "GIN_MODE"} {
		env[name] = ""
	}
	for _, name := range names {
		ln, err := freeport.Listen()
		require.NoError(t, err)
		defer ln.Close() // when all have one: none twice
		env[name+"_ADDR"] = ln.Addr().String()
	}
	return env
}

// Isolate makes Environment this process's own until t ends.
func Isolate(t testing.TB, names ...string) {
	t.Helper()
	for name, value := range Environment(t, names...) {
		t.Setenv(name, value)
	}
}

// Stack is a stack in this process, in the surroundings that Isolate has made. Its
// methods are for the test's own goroutine, where they do not say otherwise.
type Stack struct {
	Description stage.Description
	Run         map[string]stage.Run
	// MenuAge is how old what the menu says may be. Zero is the latest.
	MenuAge time.Duration

	t     testing.TB
	key   *issuer.Key
	door  func() *Door
	inner *http.Client // for what does not go through the door
}

// New returns the stack that d and run are. None of it runs yet.
func New(t testing.TB, d stage.Description, run map[string]stage.Run) *Stack {
	t.Helper()
	dir := os.Getenv("WORKSHOP_DIR")
	key, err := issuer.Open(dir)
	require.NoError(t, err)
	own := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(own.CloseIdleConnections)
	return &Stack{
		Description: d, Run: run, t: t, key: key,
		door:  sync.OnceValue(func() *Door { return NewDoor(t, os.Getenv("DNS_ADDR"), os.Getenv("BALANCER_ADDR"), dir) }),
		inner: &http.Client{Transport: own, Timeout: Patience},
	}
}

// Start runs all roles but those named, and returns when they are ready. They end with
// the test, in the order of the request's path.
func (s *Stack) Start(but ...string) {
	s.t.Helper()
	var roles []string
	for _, r := range s.Description.Roles {
		if !slices.Contains(but, r.Name) {
			roles = append(roles, r.Name)
		}
	}
	ended := map[string]chan error{}
	stops := map[string]context.CancelFunc{}
	s.t.Cleanup(func() {
		for _, name := range roles {
			stops[name]()
			select {
			case err := <-ended[name]:
				assert.NoError(s.t, err, name)
			case <-time.After(Patience):
				assert.Fail(s.t, "it does not end", name)
			}
		}
	})
	ready := make(chan string, len(roles))
	var log slog.Handler = slog.DiscardHandler
	if watched() {
		log = slog.NewTextHandler(os.Stderr, nil)
	}
	for _, name := range roles {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		ended[name], stops[name] = done, stop
		go func() {
			done <- s.Run[name](ctx, &stage.Stage{Name: name, Log: slog.New(log).With("role", name), Emit: func(e stage.Event) {
				if e.Event == stage.Ready {
					ready <- name
				}
			}})
		}()
	}
	for range roles {
		select {
		case <-ready:
		case <-time.After(Patience):
			require.FailNow(s.t, "a role is not ready")
		}
	}
}

// watched reports whether somebody looks for a fault, and has set STACK_LOG.
func watched() bool { return testing.Verbose() && os.Getenv("STACK_LOG") != "" }

// Customer returns the n-th one, who may order, and leaves with the test. It may be
// called by many goroutines at once.
func (s *Stack) Customer(name string, n int) *Client {
	s.t.Helper()
	c := s.door().Client(n)
	s.t.Cleanup(c.Leave)
	c.Token = s.token(name, "orders:read", "orders:write")
	return c
}

// At returns who goes to a role, such as "A", past the door, and shows token, unless it
// is empty. It may be called by many goroutines at once.
func (s *Stack) At(role, token string) *Client {
	return &Client{Token: token, site: "http://" + os.Getenv(role+"_ADDR"), web: s.inner}
}

// token is one for subject, who may do what scopes say.
func (s *Stack) token(subject string, scopes ...string) string {
	s.t.Helper()
	token, err := s.key.Sign(subject, scopes, time.Hour)
	require.NoError(s.t, err)
	return token
}
