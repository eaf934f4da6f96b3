package store_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgtest"
	"clicktocode.example/06-database-cache/solution/dbpool"
	"clicktocode.example/06-database-cache/store"
)

var (
	compare = flag.Duration("pgbench", 0, "how long each round of TestKeepsUpWithPgbench lasts; 0 skips it")
	clients = flag.Int("clients", 8, "connections of TestKeepsUpWithPgbench and BenchmarkCreate")
)

// leastShare is how many orders a second Create keeps, at least, of what pgbench
// does with the same statements: see testdata/create.sql.
const leastShare = 0.6

// BenchmarkCreate keeps orders of two lines, over as many connections as -clients says.
func BenchmarkCreate(b *testing.B) {
	s := pool(b, pgtest.URL(b))
	id := rand.Uint64()
	var n atomic.Uint64
	b.ReportAllocs()
	b.SetParallelism(*clients)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := s.Create(context.Background(), sample(fmt.Sprint(id, "-", n.Add(1)), order.Paid)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// TestKeepsUpWithPgbench runs Create and PostgreSQL's own benchmark in turn, with
// the same statements, connections and server.
func TestKeepsUpWithPgbench(t *testing.T) {
	if *compare == 0 {
		t.Skip("a comparison: go test ./store -run Pgbench -pgbench 3s -v")
	}
	program := pgbench()
	if program == "" {
		t.Skip("there is no pgbench: apt-get install postgresql-contrib, or brew install postgresql")
	}
	databaseURL := pgtest.URL(t)
	s := pool(t, databaseURL)
	var theirs, ours []float64
	for range 3 {
		theirs = append(theirs, measurePgbench(t, program, databaseURL))
		ours = append(ours, measureCreate(t, s))
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	share := ours[1] / theirs[1]
	t.Logf("%d connections, medians of 3 rounds of %s: Create %.0f orders/s, pgbench -M extended %.0f, that is %.0f %%", *clients, *compare, ours[1], theirs[1], 100*share)
	require.GreaterOrEqual(t, share, leastShare, "Create's share of what pgbench does with the same statements")
}

func measureCreate(t *testing.T, s *store.Store) (perSecond float64) {
	id, begin := rand.Uint64(), time.Now()
	var n atomic.Int64
	var all sync.WaitGroup
	for range *clients {
		all.Go(func() {
			for time.Since(begin) < *compare {
				if err := s.Create(context.Background(), sample(fmt.Sprint(id, "-", n.Add(1)), order.Paid)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(begin).Seconds()
}

func measurePgbench(t *testing.T, program, databaseURL string) (perSecond float64) {
	o := sample("", order.Paid)
	args := []string{
		"-n", "-M", "extended", "-c", fmt.Sprint(*clients), "-j", "2", "-T", fmt.Sprint(max(1, int(compare.Seconds()))), "-f", filepath.Join("testdata", "create.sql"),
	}
	for name, value := range map[string]any{
		"customer": o.Customer, "state": o.State, "currency": "EUR", "method": o.Method, "payment": "pi_one", "version": o.Version,
		"subtotal": o.Totals.Subtotal.Amount, "discount": o.Totals.Discount.Amount, "tax": o.Totals.Tax.Amount, "total": o.Totals.Total.Amount,
		"created": o.Created.Format(time.RFC3339Nano), "updated": o.Updated.Format(time.RFC3339Nano),
		"dishes": "{tea,ramen}", "names": `{"Green tea","Ramen"}`, "quantities": "{1,2}", "units": "{310,1250}", "totals": "{310,2500}",
	} {
		args = append(args, "-D", fmt.Sprintf("%s=%v", name, value))
	}
	config, err := pq.NewConfig(databaseURL)
	require.NoError(t, err)
	args = append(args, "-h", config.Host, "-p", fmt.Sprint(config.Port), "-U", config.User, config.Database)
	command := exec.Command(program, args...)
	command.Env = append(command.Environ(), "PGPASSWORD="+config.Password)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	found := regexp.MustCompile(`tps = ([0-9.]+)`).FindSubmatch(out)
	require.NotNil(t, found, "%s", out)
	perSecond, err = strconv.ParseFloat(string(found[1]), 64)
	require.NoError(t, err)
	return perSecond
}

// pgbench is where PostgreSQL's benchmark is, or nothing.
func pgbench() string {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// pool returns a store with as many connections as -clients says.
func pool(t testing.TB, databaseURL string) *store.Store {
	t.Helper()
	db, err := dbpool.Open(databaseURL, dbpool.Config{MaxOpen: *clients})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	s, err := store.New(db, store.Config{Wait: time.Minute})
	require.NoError(t, err)
	return s
}
