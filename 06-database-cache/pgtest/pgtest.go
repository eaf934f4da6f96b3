// Package pgtest gives each test a PostgreSQL database of its own, with the
// service's schema: a real server, started when a test process first asks for it,
// and ended with that process, however it ends. Tests need no TestMain, and may run
// in parallel.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"

	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/schema"
)

// template is the migrated database that the others are copies of.
const template = "template_orders"

// process is this process's server.
type process struct {
	pg       *backing.Postgres
	strategy string // of CREATE DATABASE, to copy the template
}

// server starts it, once. It ends with the process.
var server = sync.OnceValues(func() (*process, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pg, err := backing.OpenPostgres(ctx, backing.PostgresConfig{
		NoDownload: true, // a test that first loads a bundle would look as if it hung
		Settings: map[string]string{
			"autovacuum":       "off",   // when it comes by, a query's plan may change
			"deadlock_timeout": "100ms", // instead of 1 s: tests provoke deadlocks
			"max_connections":  "200",   // tests in parallel, with a pool each
		},
	})
	if err != nil {
		return nil, err
	}
	p := &process{pg: pg}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, pg.Close())
	}
	return p, nil
})

// prepare makes the template.
func (p *process) prepare(ctx context.Context) error {
	if err := p.exec(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	db, err := sql.Open("postgres", p.url(template))
	if err != nil {
		return err
	}
	defer db.Close() // a template that somebody is connected to is not copied
	if err := schema.Migrate(ctx, db); err != nil {
		return err
	}
	var version int
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version >= 150000 {
		p.strategy = " STRATEGY FILE_COPY" // twice as fast as the other, and older servers have no other
	}
	return nil
}

var databases = struct {
	sync.Mutex
	made int
	of   map[testing.TB]string
}{of: map[testing.TB]string{}}

// URL returns where t's database is, as pq takes it: a new one, with the schema and
// nothing in it. Each t has one: more calls with the same t lead to the same one.
// At t's end it is dropped, whoever is still connected.
//
// Where there is no PostgreSQL the test is skipped, and says how to install it; in
// CI, where the variable of that name is set, it fails.
func URL(t testing.TB) string {
	t.Helper()
	p, err := server()
	switch {
	case errors.Is(err, backing.ErrNoPostgres) && os.Getenv("CI") == "":
		t.Skipf("not checked: this test needs PostgreSQL's server. To install it: %s", backing.InstallPostgres())
	case err != nil:
		t.Fatalf("pgtest: %v", err)
	}
	databases.Lock()
	defer databases.Unlock()
	if name, ok := databases.of[t]; ok {
		return p.url(name)
	}
	databases.made++
	name := fmt.Sprintf("test_%d", databases.made)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template+p.strategy); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	databases.of[t] = name
	t.Cleanup(func() {
		databases.Lock()
		delete(databases.of, t)
		databases.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := p.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return p.url(name)
}

// Open returns a pool of connections to t's database: see URL. Its size is
// unbounded, as database/sql's default is. It is closed at t's end.
func Open(t testing.TB) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", URL(t))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return db
}

// url returns where one of the server's databases is.
func (p *process) url(database string) string {
	u, err := url.Parse(p.pg.URL)
	if err != nil {
		panic(err) // backing has put it together
	}
	u.Path = "/" + database
	return u.String()
}

// exec runs a statement over a connection of its own: tests look for goroutines
// that were left, and a pool has one.
func (p *process) exec(ctx context.Context, statement string) error {
	db, err := sql.Open("postgres", p.pg.URL)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
