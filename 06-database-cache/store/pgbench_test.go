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
	round   = flag.Duration("round", time.Second, "how long each of the two lasts in a round of BenchmarkPgbench, whole seconds")
	clients = flag.Int("clients", 8, "connections of BenchmarkPgbench and BenchmarkCreate")
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

// BenchmarkPgbench runs Create and PostgreSQL's own benchmark in turn, with the same
// statements (testdata/create.sql), connections and server, each for as long as -round
// says. What it reports of each are medians of its rounds:
//
//	go test ./store -run '^$' -bench Pgbench -benchtime 3x -round 3s
//
// At least leastShare of what pgbench does is wanted of Create.
func BenchmarkPgbench(b *testing.B) {
	program := pgbench()
	if program == "" {
		b.Skip("there is no pgbench: apt-get install postgresql-contrib, or brew install postgresql")
	}
	databaseURL := pgtest.URL(b)
	s := pool(b, databaseURL)
	var theirs, ours []float64
	for b.Loop() {
		theirs = append(theirs, measurePgbench(b, program, databaseURL))
		ours = append(ours, measureCreate(b, s))
	}
	slices.Sort(theirs)
	slices.Sort(ours)
	median := len(ours) / 2
	share := ours[median] / theirs[median]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours[median], "orders/s")
	b.ReportMetric(theirs[median], "pgbench/s")
	b.ReportMetric(share, "share")
	require.GreaterOrEqual(b, share, leastShare, "Create's share of what pgbench does with the same statements")
}

func measureCreate(t testing.TB, s *store.Store) (perSecond float64) {
	id, begin := rand.Uint64(), time.Now()
	var n atomic.Int64
	var all sync.WaitGroup
	for range *clients {
		all.Go(func() {
			for time.Since(begin) < *round {
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

func measurePgbench(t testing.TB, program, databaseURL string) (perSecond float64) {
	o := sample("", order.Paid)
	args := []string{
		"-n", "-M", "extended", "-c", fmt.Sprint(*clients), "-j", "2", "-T", fmt.Sprint(max(1, int(round.Seconds()))), "-f", filepath.Join("testdata", "create.sql"),
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
