package pgtest_test

import (
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/06-database-cache/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func database(t *testing.T, db *sqlx.DB) (name string) {
	t.Helper()
	require.NoError(t, db.Get(&name, "SELECT current_database()"))
	return name
}

func TestOpen(t *testing.T) {
	t.Run("gives each test a migrated database of its own", func(t *testing.T) {
		names := make(chan string, 4)
		t.Run("in parallel", func(t *testing.T) {
			for n := range cap(names) {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					t.Parallel()
					db := pgtest.Open(t)
					// The same primary key in each, and no row of another.
					_, err := db.Exec("INSERT INTO dishes VALUES ('soup', 1, 'Soup', 450, 'EUR', 3)")
					require.NoError(t, err)
					var count int
					require.NoError(t, db.Get(&count, "SELECT count(*) FROM dishes"))
					require.Equal(t, 1, count)
					names <- database(t, db)
				})
			}
		})
		seen := map[string]bool{}
		for range cap(names) {
			seen[<-names] = true
		}
		require.Len(t, seen, cap(names))
	})

	t.Run("leads to where URL leads", func(t *testing.T) {
		db := pgtest.Open(t)
		u, err := url.Parse(pgtest.URL(t))
		require.NoError(t, err)
		require.Equal(t, "/"+database(t, db), u.Path)
		require.Equal(t, database(t, db), database(t, pgtest.Open(t)))
		t.Run("but for each t another", func(t *testing.T) {
			require.NotEqual(t, u.Path, "/"+database(t, pgtest.Open(t)))
		})
	})

	t.Run("drops it, whoever is connected", func(t *testing.T) {
		var left *sqlx.DB
		var name string
		t.Run("a test that forgets to close", func(t *testing.T) {
			var err error
			left, err = sqlx.Open("postgres", pgtest.URL(t))
			require.NoError(t, err)
			name = database(t, left)
		})
		assert.Error(t, left.Ping())
		require.NoError(t, left.Close())
		var count int
		require.NoError(t, pgtest.Open(t).Get(&count, "SELECT count(*) FROM pg_database WHERE datname = $1", name))
		require.Zero(t, count)
	})

	t.Run("has room for 50 buyers and more", func(t *testing.T) {
		db := pgtest.Open(t)
		var all sync.WaitGroup
		for range 120 {
			all.Go(func() {
				_, err := db.Exec("SELECT pg_sleep(0.05)")
				assert.NoError(t, err)
			})
		}
		all.Wait()
	})
}
