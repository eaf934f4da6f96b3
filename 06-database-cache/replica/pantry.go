package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/05-business-logic/order"
	kitchen "clicktocode.example/05-business-logic/replica"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/cached"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/pgfault"
	"clicktocode.example/06-database-cache/schema"
	"clicktocode.example/06-database-cache/solution/dbpool"
	"clicktocode.example/06-database-cache/store"
)

// Config is where a Pantry is, and how it works. Postgres and Memcached say where,
// and are required; the rest may be zero.
type Config struct {
	// Postgres is the URL of one that runs; or Addr, and DataDir, which is also how the
	// role Postgres is told where it shall be. An empty DataDir is the one in stage.Dir.
	Postgres backing.PostgresConfig
	// Memcached is the same of memcached: Servers, or Addr.
	Memcached backing.MemcachedConfig
	// Stock is how many there are of each dish when the menu is written for the first
	// time, by ID. nil means as chapter 5's Menu says.
	Stock map[string]int
	// Patience is how long Open waits for PostgreSQL. 0 means 25 s: who starts the
	// stack waits for 30.
	Patience time.Duration

	// Pool is that of the connections to PostgreSQL. By its OpenDB, statements are
	// traced.
	Pool dbpool.Config
	// Store is that of the store. By its Paid, mail is enqueued with the order.
	Store store.Config
	// Cache is that of the cache. What its Fault and Lost are told is logged, too, once
	// in a while.
	Cache cached.Config
	// Client is that of the client of each memcached.
	Client kv.Config
	// Wrap, unless nil, stands around the client of each memcached: so calls are
	// traced.
	Wrap func(kv.Cache) kv.Cache
	// Log gets what is waited for, and what has failed. nil means slog.Default().
	Log *slog.Logger
}

const (
	patience = 25 * time.Second // Config.Patience's default
	quiet    = time.Second      // nobody wants to hear of a wait that is shorter
)

// Pantry is where the menu, the stock and the orders are. Make one with Open, and
// Close it.
type Pantry struct {
	DB    *sqlx.DB
	Store *store.Store
	Cache *cached.Cache

	clients []*memcache.Client
}

// Open brings the schema to its newest version, writes the menu if it is not there,
// and returns a Pantry. Replicas may do so side by side.
//
// If PostgreSQL is starting, or away, it waits, up to Config.Patience or ctx's end. It
// does not wait for memcached, which nothing depends on. err names all faults of c at
// once, but for those that come to light only when the rest is right.
func Open(ctx context.Context, c Config) (*Pantry, error) {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Patience = cmp.Or(c.Patience, patience)
	servers := c.Memcached.Servers
	if len(servers) == 0 {
		servers = []string{c.Memcached.Addr}
	}
	url, err := c.await(ctx)
	if err != nil {
		return nil, err
	}

	p := &Pantry{}
	var faults []error
	if p.DB, err = dbpool.Open(url, c.Pool); err != nil {
		return nil, err
	}
	p.Store, err = store.New(p.DB, c.Store)
	faults = append(faults, err)
	var caches []kv.Cache
	for _, server := range servers {
		client, err := kv.New(server, c.Client)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		p.clients = append(p.clients, client)
		if c.Wrap != nil {
			caches = append(caches, c.Wrap(client))
		} else {
			caches = append(caches, client)
		}
	}
	if err = errors.Join(faults...); err == nil {
		p.Cache, err = cached.New(caches, p.Store, p.Store, c.told())
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Ports are what a replica works with, but for its payments.
func (p *Pantry) Ports() order.Ports {
	return order.Ports{Menu: p.Cache.Menu(), Stock: cached.Stock(p.Store, 0), Orders: p.Cache.Orders()}
}

// Close ends what is under way, waits for it, and closes the connections to memcached,
// and then those to PostgreSQL.
func (p *Pantry) Close() error {
	var faults []error
	if p.Cache != nil {
		faults = append(faults, p.Cache.Close())
	}
	for _, client := range p.clients {
		faults = append(faults, client.Close())
	}
	return errors.Join(append(faults, p.DB.Close())...)
}

// await prepares the database, and returns its URL. Until PostgreSQL has started, it
// tries again.
func (c Config) await(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	for began, told := time.Now(), false; ; {
		url, err := c.url()
		if err == nil {
			err = c.prepare(ctx, url)
		}
		switch {
		case err == nil:
			if told {
				c.Log.Info("replica: PostgreSQL is there", "after", time.Since(began).Round(time.Millisecond))
			}
			return url, nil
		case ctx.Err() == nil && !away(err):
			return "", fmt.Errorf("replica: %w", err)
		case !told && time.Since(began) > quiet:
			told = true
			c.Log.Info("replica: waiting for PostgreSQL", "at_most", c.Patience, "err", err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
			continue
		case <-ctx.Done():
		}
		return "", fmt.Errorf("replica: waited %v for PostgreSQL, which is neither there nor starting: %w", time.Since(began).Round(time.Millisecond), err)
	}
}

// url is where the database is. Where the role Postgres has not made it yet, that is an
// fs.ErrNotExist.
func (c Config) url() (string, error) {
	if c.Postgres.URL != "" {
		return c.Postgres.URL, nil
	}
	where, err := keptIn(c.Postgres)
	if err != nil {
		return "", err
	}
	return where.KeptURL()
}

// keptIn is c with its DataDir.
func keptIn(c backing.PostgresConfig) (backing.PostgresConfig, error) {
	if c.DataDir != "" {
		return c, nil
	}
	dir, err := stage.Dir()
	if err == nil {
		c.DataDir = backing.DataDir(dir)
	}
	return c, err
}

// away reports whether err may be over in a moment. That PostgreSQL does not let us in
// (classes 28 and 3D) will not be.
func away(err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if said := pq.As(err); said != nil && (said.Code.Class() == "28" || said.Code.Class() == "3D") {
		return false
	}
	return errors.Is(pgfault.Of(context.Background(), err), order.ErrUnavailable)
}

// prepare brings the schema to its newest version, and writes the menu. It does so by
// connections without the pool's limits: a migration of a large table takes its time.
func (c Config) prepare(ctx context.Context, url string) error {
	db, err := dbpool.Open(url, dbpool.Config{
		Application: "orders-migrate", MaxOpen: 2,
		StatementTimeout: time.Hour, LockTimeout: time.Hour, IdleInTransaction: time.Hour,
	})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.PingContext(ctx); err != nil { // its error is short
		return err
	}
	if err := schema.Migrate(ctx, db.DB); err != nil {
		return err
	}
	s, err := store.New(db, store.Config{})
	if err != nil {
		return err
	}
	menu, stock := kitchen.Menu()
	if c.Stock != nil {
		stock = c.Stock
	}
	return s.Seed(ctx, menu, stock)
}

// told is Cache, with its faults logged, before its own Fault and Lost hear of them. A
// cache that is away would fill the log, so of each kind one is told in a while.
func (c Config) told() cached.Config {
	fault, lost, faultNow, lostNow := c.Cache.Fault, c.Cache.Lost, rarely(), rarely()
	c.Cache.Fault = func(call string, err error) {
		if faultNow() {
			c.Log.Warn("replica: memcached does not answer, and PostgreSQL does in its place", "call", call, "err", err)
		}
		if fault != nil {
			fault(call, err)
		}
	}
	c.Cache.Lost = func(key string, err error) {
		if lostNow() {
			c.Log.Warn("replica: memcached may show what is old for a while", "key", key, "err", err)
		}
		if lost != nil {
			lost(key, err)
		}
	}
	return c.Cache
}

// rarely returns a function that is true for the first time in 10 seconds.
func rarely() func() bool {
	var mu sync.Mutex
	var next time.Time // guarded by mu
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(next) {
			return false
		}
		next = time.Now().Add(10 * time.Second)
		return true
	}
}
