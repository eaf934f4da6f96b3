package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"clicktocode.example/01-dns-tcp-tls/stage"
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/06-database-cache/backing"
)

// Names are those of the replicas.
var Names = []string{"a", "b", "c"}

// Surroundings are what the environment says of PostgreSQL and memcached.
type Surroundings struct {
	// Config has Postgres and Memcached as the environment says, and for the rest
	// what Look was given.
	Config Config
	// Missing says that there is no PostgreSQL, and what to do about it. Then there is
	// one replica, of chapter 5, whose orders end with it.
	Missing error

	env map[string]string
}

// Look reads from the environment where PostgreSQL and memcached are, or shall be
// started. It starts nothing, and looks on this machine's disk for a PostgreSQL.
func Look(c Config) *Surroundings {
	s := &Surroundings{Config: c, env: map[string]string{}}
	read := func(name, fallback, what string) string {
		value := stage.Env(name, fallback)
		s.env[name] = what + ": " + value
		return value
	}
	s.env["DATABASE_URL"] = "a PostgreSQL to use in place of an own one, as postgres://user:password@host:5432/name" // what it is stays out of this
	s.Config.Postgres.URL = stage.Env("DATABASE_URL", c.Postgres.URL)
	s.Config.Postgres.Addr = read("POSTGRES_ADDR", "127.0.0.1:9301", "where postgres listens")
	s.Config.Postgres.NoDownload = true // it would be longer than anybody waits for the stack
	s.Config.Memcached.Servers = kitchen.List(read("MEMCACHED_SERVERS", "", "memcached servers to use in place of an own one, as host:port with commas between"))
	s.Config.Memcached.Addr = read("MEMCACHED_ADDR", "127.0.0.1:9302", "where memcached listens")
	if s.Config.Postgres.URL == "" {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, s.Missing = backing.FindPostgres(ctx, s.Config.Postgres)
	}
	return s
}

// Names are those of the replicas that there are.
func (s *Surroundings) Names() []string {
	if s.Missing != nil {
		return Names[:1]
	}
	return Names
}

// Command prints where the database is, with its password, if args are -database. code
// is the exit code then. Otherwise asked is false, and nothing is done.
func (s *Surroundings) Command(args []string, stdout, stderr io.Writer) (code int, asked bool) {
	if len(args) != 1 || args[0] != "-database" && args[0] != "--database" {
		return 0, false
	}
	url, err := s.Config.url()
	switch {
	case s.Missing != nil:
		err = s.Missing
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is no database yet: start the stack first")
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1, true
	}
	fmt.Fprintln(stdout, url)
	return 0, true
}

// Furnish adds to d and run the roles that own PostgreSQL and memcached, unless there
// are some already.
func (s *Surroundings) Furnish(d *stage.Description, run map[string]stage.Run) {
	maps.Copy(d.Env, s.env)
	if s.Missing != nil {
		d.Title += ", without a database"
		return
	}
	if c := s.Config.Memcached; len(c.Servers) == 0 {
		d.Roles = append(d.Roles, stage.Role{Name: "memcached", What: "the fridge", Addr: c.Addr})
		run["memcached"] = Memcached(c)
	}
	if c := s.Config.Postgres; c.URL == "" {
		d.Roles = append(d.Roles, stage.Role{Name: "postgres", What: "the pantry", Addr: c.Addr})
		run["postgres"] = Postgres(c)
	}
}

// Replica makes a replica: one of New; or, where there is no PostgreSQL, chapter 5's.
func (s *Surroundings) Replica(ctx context.Context, log *slog.Logger, k kitchen.Config) (http.Handler, error) {
	if s.Missing != nil {
		log.Warn("replica: there is no PostgreSQL: orders are kept in memory, and end with this process", "err", s.Missing)
		k.Stock = s.Config.Stock
		return kitchen.New(k)
	}
	c := s.Config
	c.Log = log
	return New(ctx, c, k)
}
