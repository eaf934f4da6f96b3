package replica

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/solution/dbpool"
)

// leaveTime is how long PostgreSQL waits for the replicas to end: a role has 10
// seconds, and theirs is 8 at most. What is left is for itself.
const leaveTime = 8 * time.Second

// Postgres is the role that owns PostgreSQL: it starts one at c.Addr, on the data of
// the last time, and ends it. When PostgreSQL ends by itself, so does the role, and it
// is for who runs the role to start it again.
//
// Replicas that are told to end together with it come first. Who is paid for a dinner
// writes it down.
func Postgres(c backing.PostgresConfig) stage.Run {
	return func(ctx context.Context, s *stage.Stage) error {
		c, err := keptIn(c)
		if err != nil {
			return err
		}
		c.Log = s.Log
		pg, err := backing.OpenPostgres(ctx, c)
		switch {
		case ctx.Err() != nil && err != nil:
			return nil // told to end meanwhile
		case err != nil:
			return fmt.Errorf("%w. Where the address is the trouble: set POSTGRES_ADDR to a free one", err)
		}
		return own(ctx, s, service{c.Addr, pg.Took, pg.Wait, pg.Close, func() { outlive(pg.URL) }})
	}
}

// Memcached is the role that owns memcached. It is as Postgres, but for the data: what
// is in a cache ends with it.
func Memcached(c backing.MemcachedConfig) stage.Run {
	return func(ctx context.Context, s *stage.Stage) error {
		c := c
		c.Log = s.Log
		mc, err := backing.OpenMemcached(ctx, c)
		switch {
		case ctx.Err() != nil && err != nil:
			return nil
		case err != nil:
			return fmt.Errorf("%w. Where the address is the trouble: set MEMCACHED_ADDR to a free one", err)
		}
		return own(ctx, s, service{c.Addr, mc.Took, mc.Wait, mc.Close, func() {}})
	}
}

// service is what a role owns.
type service struct {
	addr, took  string
	wait, close func() error
	last        func() // waits for its clients
}

// own keeps what was started until ctx is done, and ends it.
func own(ctx context.Context, s *stage.Stage, it service) error {
	s.Request("took "+it.took, 0, nil)
	s.Ready(it.addr)
	ended := make(chan error, 1)
	go func() { ended <- it.wait() }()
	select {
	case err := <-ended:
		return fmt.Errorf("%s: %w", s.Name, err)
	case <-ctx.Done():
	}
	it.last()
	err := it.close()
	<-ended
	return err
}

// outlive waits until no replica is connected to the PostgreSQL at url, or leaveTime is
// over. What else is connected is hung up on: somebody's psql is no reason to wait.
func outlive(url string) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	db, err := dbpool.Open(url, dbpool.Config{Application: "owner", MaxOpen: 1, ConnectTimeout: time.Second})
	if err != nil {
		return
	}
	defer db.Close()
	for {
		var left int
		err := db.GetContext(ctx, &left, `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'orders%'`)
		if err == nil && left == 0 || err != nil && pq.As(err) == nil { // none, or nobody to ask
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
