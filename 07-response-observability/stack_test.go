package main

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/stage"
	kitchen "clicktocode.example/05-business-logic/replica"
	mailbox "clicktocode.example/05-business-logic/sendgrid/standin"
	"clicktocode.example/05-business-logic/stacktest"
	till "clicktocode.example/05-business-logic/stripe/standin"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/solution/dbpool"
)

// stack is the finished service: each role a process of its own, which can be killed
// and started again, at addresses that were free a moment ago. What Stripe and
// SendGrid have is in this process, where it can be looked at.
type stack struct {
	*stacktest.Processes
	*stacktest.Door // once it runs

	t        testing.TB        // the part that it is in
	env      map[string]string // of the roles, beside this process's own
	d        stage.Description
	payments *till.Server
	mail     *mailbox.Server
}

// newStack builds the program and says where everything will be; nothing runs yet. env
// is more of the environment, as "GOGC=100". Its customers may come as often as they like.
func newStack(t testing.TB, env ...string) *stack {
	if _, err := backing.FindPostgres(t.Context(), backing.PostgresConfig{NoDownload: true}); err != nil {
		if os.Getenv("CI") == "true" {
			require.NoError(t, err)
		}
		t.Skipf("there is no PostgreSQL: %s", backing.InstallPostgres())
	}
	s := build(t, ".")
	secret, err := kitchen.Secret(s.dir())
	require.NoError(t, err)
	s.payments, err = till.New(till.Config{WebhookURL: "http://" + s.addr("a") + kitchen.WebhookPath, WebhookSecret: secret})
	require.NoError(t, err)
	t.Cleanup(s.payments.Close)
	s.mail, err = mailbox.New(mailbox.Config{Keep: 1_000_000})
	require.NoError(t, err)
	for name, h := range map[string]http.Handler{"PAYMENTS": s.payments, "MAIL": s.mail} {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		s.env[name+"_ADDR"] = server.Listener.Addr().String()
	}
	s.describe(append([]string{"RATE_LIMIT=0"}, env...)...)
	t.Cleanup(func() { _ = os.RemoveAll(backing.DataDir(s.dir())) })
	return s
}

// build builds a chapter's program, and finds addresses for its roles.
func build(t testing.TB, chapter string) *stack {
	program := filepath.Join(t.TempDir(), "service.exe")
	out, err := exec.Command("go", "build", "-o", program, chapter).CombinedOutput()
	require.NoError(t, err, "%s", out)
	names := []string{"POSTGRES", "MEMCACHED"}
	for _, name := range []string{"DNS", "BALANCER", "EDGE1", "EDGE2", "A", "B", "C", "WORKER"} {
		names = append(names, name, name+"_ADMIN")
	}
	s := &stack{t: t, Processes: &stacktest.Processes{Program: program}, env: stacktest.Environment(t, names...)}
	for _, name := range []string{"CI", "DATABASE_URL", "MEMCACHED_SERVERS"} {
		s.env[name] = ""
	}
	return s
}

// dir is where the stack keeps keys and state, and addr where a role listens.
func (s *stack) dir() string             { return s.env["WORKSHOP_DIR"] }
func (s *stack) addr(role string) string { return s.env[strings.ToUpper(role)+"_ADDR"] }

// describe asks the program what it is, with env beyond its environment.
func (s *stack) describe(env ...string) {
	s.Env = os.Environ()
	for name, value := range s.env {
		s.Env = append(s.Env, name+"="+value)
	}
	s.Env = append(s.Env, env...)
	describe := exec.Command(s.Program, "-describe")
	describe.Env = s.Env
	out, err := describe.Output()
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(out, &s.d))
	s.Roles = s.d.Roles
}

// roles are those that are processes here.
func (s *stack) roles() (names []string) {
	for _, r := range s.d.Roles {
		if r.Name != "payments" && r.Name != "mail" {
			names = append(names, r.Name)
		}
	}
	return names
}

// startAll starts all roles, and ends them with the test. It returns how long it took.
func (s *stack) startAll() time.Duration {
	t, began := s.t, time.Now()
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	require.NoError(t, s.Start(s.roles()...))
	took := time.Since(began)
	s.Door = stacktest.NewDoor(t, s.addr("dns"), s.addr("balancer"), s.dir())
	s.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(100)
	return took
}

// books is a connection to the database, beside the service's own.
func (s *stack) books() *sqlx.DB {
	addr := s.d.Roles[slices.IndexFunc(s.d.Roles, func(r stage.Role) bool { return r.Name == "postgres" })].Addr
	url, err := backing.PostgresConfig{Addr: addr, DataDir: backing.DataDir(s.dir())}.KeptURL()
	require.NoError(s.t, err)
	db, err := dbpool.Open(url, dbpool.Config{Application: "books", MaxOpen: 2})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { db.Close() })
	return db
}
