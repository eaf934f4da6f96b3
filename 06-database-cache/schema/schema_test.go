package schema_test

import (
	"context"
	"database/sql"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/schema"
)

func TestMigrate(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	migrated := pgtest.Open(t)
	u, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	name := u.Path[1:] + "_empty"
	u.Path = "/" + name
	migrated.MustExec(`CREATE DATABASE ` + name)
	t.Cleanup(func() { migrated.MustExec(`DROP DATABASE ` + name) })
	db, err := sql.Open("postgres", u.String())
	require.NoError(t, err)
	defer db.Close()

	t.Run("three_replicas_that_start_at_once_migrate_once", func(t *testing.T) {
		errs := make([]error, 3)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = schema.Migrate(ctx, db) })
		}
		all.Wait()
		assert.Equal(t, make([]error, 3), errs)
		var tables int
		require.NoError(t, db.QueryRowContext(ctx, `SELECT count(*) FROM information_schema.tables WHERE table_name IN ('dishes', 'orders', 'order_lines', 'reservations', 'reserved_items', 'outbox')`).Scan(&tables))
		assert.Equal(t, 6, tables)
	})

	t.Run("does_nothing_where_nothing_is_to_do", func(t *testing.T) {
		begin := time.Now()
		require.NoError(t, schema.Migrate(ctx, db))
		assert.Less(t, time.Since(begin), time.Second, "it waits for no lock")
	})
}
