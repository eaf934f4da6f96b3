// Package schema is the shape of the pantry: the tables of the order service, and
// the constraints that hold the domain's rules even where a program forgets them.
// The migrations are embedded, so that a binary brings its own; goose runs each of
// them once, in a transaction, and remembers it in the database.
package schema

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrate brings db, a PostgreSQL database, to the newest version of the schema.
// It does nothing where it is there already. Several replicas may call it at once:
// one migrates, and the others wait for it, as long as ctx lasts.
//
// A migration of a large table takes its time: give it a pool whose connections have
// no limits of the kind that package dbpool sets.
func Migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(files, "migrations")
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	// An advisory lock: two replicas that start together would both create tables. Who
	// does not get it asks again each second, up to five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	// Asked without the lock: most starts have nothing to do, and need not queue.
	if pending, err := provider.HasPending(ctx); err == nil && !pending {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("schema: migrate: %w", err)
	}
	return nil
}
