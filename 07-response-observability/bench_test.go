package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	round    = flag.Duration("round", time.Second, "how long each stack is asked in a round of BenchmarkService")
	conns    = flag.Int("conns", 32, "connections of BenchmarkService")
	profiles = flag.String("profiles", "", "a folder for CPU profiles of all roles, under each kind of load, of BenchmarkService")
)

// What is wanted at least: menus a second, of chapter 3's, which has no more to do than
// to send them; and how many requests a second there are while everything is traced, of
// those when nothing is.
const (
	fromEdge      = 0.8
	fromMemcached = 0.6
	traced        = 0.75
)

// BenchmarkService asks chapter 3's stack, the finished service, and the finished
// service without traces, in turn, each for as long as -round says: through TLS, the
// balancer, an edge, and what stands behind. So what else the machine does disturbs all
// alike. Figures are medians of the rounds, and so are the ratios of each round:
//
//	go test -run '^$' -bench Service -benchtime 5x -round 3s -timeout 30m .
//
//	menu_from_the_edge     GET /menu, which the edges' caches have
//	menu_from_memcached    GET /menu?n=1, 2, …, which they have not
//	orders                 POST /orders. Beside it, how many orders the store keeps by
//	                       itself, and how many pgbench does: chapter 6's BenchmarkPgbench
//
// It logs how much CPU time a request takes in each role, and the top of the service's
// profile under each kind of load. With -profiles, all of it is there to look at, by
// go tool pprof.
func BenchmarkService(b *testing.B) {
	three := build(b, "clicktocode.example/03-reverse-proxy")
	three.describe()
	three.startAll()
	service := newStack(b)
	service.startAll()
	untraced := newStack(b, "OTEL_SDK_DISABLED=true")
	untraced.startAll()
	for _, s := range []*stack{service, untraced} {
		s.healthy(200)
		s.stocked()
	}

	b.Run("menu_from_the_edge", func(b *testing.B) {
		c := compare(b, (*stack).menus, three, service, untraced)
		c.report(b, "of-chapter-3", 1, 0, fromEdge)
		c.report(b, "traced", 1, 2, traced)
		three.usage(b, three.menus())
		service.explain(b, service.menus())
	})
	b.Run("menu_from_memcached", func(b *testing.B) {
		c := compare(b, (*stack).newMenus, three, service, untraced)
		c.report(b, "of-chapter-3", 1, 0, fromMemcached)
		c.report(b, "traced", 1, 2, traced)
		three.usage(b, three.newMenus())
		service.explain(b, service.newMenus())
	})
	b.Run("orders", func(b *testing.B) {
		c := compare(b, (*stack).orders, service, untraced)
		c.report(b, "traced", 0, 1, traced)
		pgbench(b)
		service.explain(b, service.orders())
	})
}

// comparison is how many answers a second each of several stacks gave in each round.
type comparison [][]float64

// compare loads stacks in turn, in rounds.
func compare(b *testing.B, with func(*stack) load, stacks ...*stack) comparison {
	c := make(comparison, len(stacks))
	for b.Loop() {
		for _, i := range rand.Perm(len(stacks)) {
			perSecond, err := with(stacks[i]).run(*conns, *round)
			require.NoError(b, err)
			c[i] = append(c[i], perSecond)
		}
	}
	b.ReportMetric(0, "ns/op")
	return c
}

// report reports the ratio of the stacks i and j, of which least is wanted.
func (c comparison) report(b *testing.B, name string, i, j int, least float64) {
	var ratios []float64
	for n := range c[i] {
		ratios = append(ratios, c[i][n]/c[j][n])
	}
	b.ReportMetric(median(ratios), name)
	b.ReportMetric(median(c[i]), "requests/s")
	assert.GreaterOrEqual(b, median(ratios), least, "%s: %.0f and %.0f a second", name, median(c[i]), median(c[j]))
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// menus asks for the menu, and newMenus for one that no edge has.
func (s *stack) menus() load {
	return s.load(http.StatusOK, func(buf []byte, _ int64) []byte { return append(buf, "GET /menu"+get...) })
}

func (s *stack) newMenus() load {
	first := rand.Uint64()
	return s.load(http.StatusOK, func(buf []byte, n int64) []byte {
		return append(strconv.AppendUint(append(buf, "GET /menu?n="...), first+uint64(n), 10), get...)
	})
}

const get = " HTTP/1.1\r\nHost: shop.test\r\nAccept: application/json\r\n\r\n"

// orders places orders of two dishes, which are others from order to order, by as many
// customers as there are connections.
func (s *stack) orders() load {
	dishes := []string{"ramen", "gyoza", "tofu", "tea", "udon", "soba", "curry", "edamame", "miso"}
	heads := make([]string, *conns)
	for i := range heads {
		v := s.Client(300 + i)
		defer v.Leave()
		status, text, err := v.Ask(http.MethodPost, "/session", struct{}{})
		require.NoError(s.t, err)
		require.Equal(s.t, http.StatusCreated, status, "%s", text)
		var session struct{ Token string }
		require.NoError(s.t, json.Unmarshal(text, &session))
		heads[i] = fmt.Sprintf("POST /orders HTTP/1.1\r\nHost: shop.test\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nIdempotency-Key: %x-", session.Token, rand.Uint64())
	}
	return s.load(http.StatusCreated, func(buf []byte, n int64) []byte {
		body := fmt.Sprintf(`{"lines": [{"dish": %q, "quantity": 1}, {"dish": %q, "quantity": 2}]}`, dishes[n%9], dishes[(n+4)%9])
		return fmt.Appendf(buf, "%s%d\r\nContent-Length: %d\r\n\r\n%s", heads[n%int64(len(heads))], n, len(body), body)
	})
}

func (s *stack) load(status int, next func(buf []byte, n int64) []byte) load {
	config := s.TLS.Clone()
	config.ServerName, config.NextProtos = "shop.test", []string{"http/1.1"}
	return load{addr: s.addr("balancer"), tls: config, status: status, next: next}
}

// explain logs how much CPU time one of l's requests takes in each role, and of all roles'
// profiles the top.
func (s *stack) explain(b *testing.B, l load) {
	dir := *profiles
	if dir == "" {
		dir = b.TempDir()
	}
	require.NoError(b, os.MkdirAll(dir, 0o700))
	var files []string
	var all sync.WaitGroup
	for _, name := range s.roles() {
		if s.addr(name+"_admin") == "" {
			continue // it is not one of our programs
		}
		file := filepath.Join(dir, strings.ReplaceAll(b.Name(), "/", "-")+"-"+name+".pprof")
		files = append(files, file)
		all.Go(func() {
			profile, err := s.operator(name, fmt.Sprintf("/debug/pprof/profile?seconds=%.0f", math.Ceil((warm+*round).Seconds())))
			assert.NoError(b, err)
			assert.NoError(b, os.WriteFile(file, profile, 0o600))
		})
	}
	s.usage(b, l)
	all.Wait()
	b.Logf("of all that, in functions of ours, and what they call of others':%s", s.top(files))
}

// top is the top of profiles, one line for each of the first few functions.
func (s *stack) top(files []string) string {
	const functions = 6 // a benchmark's log has ten lines
	args := append([]string{"tool", "pprof", "-top", "-show=^clicktocode", fmt.Sprint("-nodecount=", functions), s.Program}, files...)
	out, err := exec.Command("go", args...).Output()
	require.NoError(s.t, err)
	var top strings.Builder
	for _, found := range regexp.MustCompile(`(?m)^ +\S+ +(\S+%) +\S+% +\S+ +\S+% +clicktocode.example/(\S+)`).FindAllSubmatch(out, -1) {
		fmt.Fprintf(&top, "\n%7s %s", found[1], found[2])
	}
	return top.String()
}

// usage logs how much CPU time one of l's requests takes in each role.
func (s *stack) usage(b *testing.B, l load) {
	before := s.cpu()
	perSecond, err := l.run(*conns, *round)
	require.NoError(b, err)
	used := s.cpu()
	var said strings.Builder
	for _, name := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&said, " %s %.0f", name, (used[name]-before[name])*1e6/(perSecond*(warm+*round).Seconds()))
	}
	b.Logf("of %.0f requests a second, CPU time in µs a request:%s", perSecond, &said)
}

// operator is what a role tells its operator.
func (s *stack) operator(role, path string) ([]byte, error) {
	resp, err := http.Get("http://" + s.addr(role+"_admin") + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, text)
	}
	return text, err
}

// pgbench reports chapter 6's BenchmarkPgbench, of as long rounds.
func pgbench(b *testing.B) {
	cmd := exec.Command("go", "test", "./store", "-run", "^$", "-bench", "Pgbench", "-benchtime", "3x", "-round", max(*round, time.Second).String())
	cmd.Dir = filepath.Join("..", "06-database-cache")
	out, err := cmd.CombinedOutput()
	assert.NoError(b, err, "%s", out)
	for unit, name := range map[string]string{"orders/s": "Create/s", "pgbench/s": "pgbench/s"} {
		found := regexp.MustCompile(`(\S+) ` + unit).FindSubmatch(out)
		if assert.NotNil(b, found, "%s", out) {
			perSecond, err := strconv.ParseFloat(string(found[1]), 64)
			require.NoError(b, err)
			b.ReportMetric(perSecond, name)
		}
	}
}
