package alerts_test

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/03-reverse-proxy/cache"
	"clicktocode.example/06-database-cache/cached"
	"clicktocode.example/07-response-observability/alerts"
	"clicktocode.example/07-response-observability/meters"
	"clicktocode.example/07-response-observability/outbox"
	"clicktocode.example/07-response-observability/service"
	"clicktocode.example/07-response-observability/solution/redmetrics"
)

// away is a database that nobody can reach.
type away struct{}

func (away) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("away") }
func (away) Driver() driver.Driver                        { return nil }

// registry is one that knows all metrics, of all roles.
func registry(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg := meters.NewRegistry("all")
	red, err := redmetrics.New(redmetrics.Config{Registerer: reg})
	require.NoError(t, err)
	red.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/menu", nil))
	b, err := balancer.NewBackend("a", "127.0.0.1:9001", 1)
	require.NoError(t, err)
	pool, err := balancer.NewPool(b)
	require.NoError(t, err)
	memcached := meters.NewMemcached(&cached.Config{})
	memcached.Watch(func() (down, all int) { return 1, 2 })
	db := sql.OpenDB(away{})
	t.Cleanup(func() { db.Close() })
	reg.MustRegister(
		meters.Cache(func() cache.Stats { return cache.Stats{} }),
		meters.Balancer(pool),
		meters.Attempts(func() dispatch.Stats { return dispatch.Stats{} }),
		meters.Outbox(func() outbox.Stats { return outbox.Stats{At: time.Now()} }),
		memcached,
		collectors.NewDBStatsCollector(db, "orders"),
	)
	return reg
}

// What is in an expression and no metric: clauses with labels, words of the language,
// functions, durations and numbers.
var (
	text     = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	clause   = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	span     = regexp.MustCompile(`\[[^\]]*\]|\boffset\s+\w+|\b\d[\w.]*`)
	function = regexp.MustCompile(`\b[a-z_]+\s*\(`)
	word     = regexp.MustCompile(`\b(and|or|unless|bool)\b`)
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?`)
	label    = regexp.MustCompile(`([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)`)
)

// expressions are those of the rules, and recorded the names that they make.
func expressions(t *testing.T) (all []string, recorded []string) {
	t.Helper()
	block := -1 // how far the lines of an expression are indented, or -1
	for line := range strings.Lines(alerts.Rules) {
		trimmed := strings.TrimSpace(line)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if block >= 0 && indent > block {
			all[len(all)-1] += " " + trimmed
			continue
		}
		block = -1
		if name, ok := strings.CutPrefix(trimmed, "- record: "); ok {
			recorded = append(recorded, name)
		}
		if e, ok := strings.CutPrefix(trimmed, "expr: "); ok {
			if all = append(all, e); e == "|" {
				all[len(all)-1], block = "", indent
			}
		}
	}
	require.Len(t, all, strings.Count(alerts.Rules, "expr: "))
	require.Len(t, recorded, strings.Count(alerts.Rules, "- record: "))
	return all, recorded
}

// names are the metrics of families as they are asked for, each with one of its
// series' labels.
func names(families []*dto.MetricFamily) map[string][]string {
	known := map[string][]string{}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		switch f.GetType() {
		case dto.MetricType_HISTOGRAM:
			known[f.GetName()+"_bucket"] = append(slices.Clip(labels), "le")
			fallthrough
		case dto.MetricType_SUMMARY:
			known[f.GetName()+"_count"], known[f.GetName()+"_sum"] = labels, labels
		default:
			known[f.GetName()] = labels
		}
	}
	return known
}

func TestRules(t *testing.T) {
	families, err := registry(t).Gather()
	require.NoError(t, err)
	all, recorded := expressions(t)

	t.Run("speak_of_metrics_that_there_are", func(t *testing.T) {
		known := names(families)
		if _, ok := known["process_max_fds"]; !ok { // it is not there on each system
			known["process_max_fds"], known["process_open_fds"] = nil, nil
		}
		known["up"] = nil // Prometheus' own
		for _, name := range recorded {
			known[name] = nil
		}
		used := map[string]bool{}
		for _, e := range all {
			rest := e
			for _, drop := range []*regexp.Regexp{clause, span, function, word} {
				rest = drop.ReplaceAllString(rest, " ")
			}
			for _, found := range selector.FindAllStringSubmatch(rest, -1) {
				labels, ok := known[found[1]]
				used[found[1]] = true
				assert.True(t, ok, "%s, in the rule %s: no role has a metric of this name", found[1], e)
				for _, l := range label.FindAllStringSubmatch(text.ReplaceAllString(found[2], ""), -1) {
					assert.True(t, !ok || l[1] == "job" || l[1] == "instance" || slices.Contains(labels, l[1]), "%s{%s}, in the rule %s: it has no label %s, but %v", found[1], found[2], e, l[1], labels)
				}
			}
		}
		assert.Greater(t, len(used), 20, "metrics that the rules speak of: %v", used)
	})

	t.Run("speak_of_a_bucket_that_there_is", func(t *testing.T) {
		require.True(t, strings.Contains(alerts.Rules, `le="0.5"`), "the rules count what took more than half a second")
		for _, f := range families {
			if f.GetName() == "http_request_duration_seconds" {
				require.True(t, slices.ContainsFunc(f.GetMetric()[0].GetHistogram().GetBucket(), func(b *dto.Bucket) bool { return b.GetUpperBound() == 0.5 }))
			}
		}
	})

	t.Run("are_all_tested", func(t *testing.T) {
		tests, err := os.ReadFile("shop.rules.test.yml")
		require.NoError(t, err)
		found := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(alerts.Rules, -1)
		require.NotEmpty(t, found)
		for _, alert := range found {
			assert.Contains(t, string(tests), `alertname="`+alert[1]+`"`)
		}
	})

	t.Run("do_what_they_should", func(t *testing.T) {
		promtool, err := exec.LookPath("promtool")
		if err != nil {
			const install = "promtool is not installed (Debian: apt-get install prometheus; macOS: brew install prometheus)"
			if os.Getenv("CI") != "" {
				t.Fatal(install)
			}
			t.Skip(install)
		}
		for _, args := range [][]string{{"check", "rules", "shop.rules.yml"}, {"test", "rules", "shop.rules.test.yml"}, {"check", "config", "prometheus.yml"}} {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			out, err := exec.CommandContext(ctx, promtool, args...).CombinedOutput()
			require.NoError(t, err, "promtool %v:\n%s", args, out)
			require.Contains(t, string(out), "SUCCESS", "promtool %v", args)
		}
	})
}

// What is scraped is what there is: each role of the stack, where it listens for its
// operator. Names of jobs are those that the rules' tests have.
func TestScraped(t *testing.T) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasSuffix(name, "_ADMIN_ADDR") {
			t.Setenv(name, "")
		}
	}
	config, err := os.ReadFile("prometheus.yml")
	require.NoError(t, err)
	var scraped []string
	job, jobs := "", map[string]bool{}
	for _, found := range regexp.MustCompile(`- job_name: (\w+)|targets: \["([^"]+)"\], labels: \{instance: (\w+)\}`).FindAllStringSubmatch(string(config), -1) {
		if found[1] != "" {
			job, jobs[found[1]] = found[1], true
			continue
		}
		scraped = append(scraped, found[3]+" "+found[2])
		want := map[string]string{"edge1": "edge", "edge2": "edge", "a": "app", "b": "app", "c": "app"}[found[3]]
		assert.Equal(t, cmp.Or(want, found[3]), job, "the job of %s", found[3])
	}
	described, _ := service.New(service.Config{})
	var listening []string
	for name, what := range described.Env {
		if role, ok := strings.CutSuffix(name, "_ADMIN_ADDR"); ok {
			listening = append(listening, strings.ToLower(role)+what[strings.LastIndex(what, " "):])
		}
	}
	require.NotEmpty(t, listening)
	if slices.ContainsFunc(described.Roles, func(r stage.Role) bool { return r.Name == "worker" }) {
		assert.ElementsMatch(t, listening, scraped)
	} else { // without PostgreSQL, there are fewer
		assert.Subset(t, scraped, listening)
	}
	tests, err := os.ReadFile("shop.rules.test.yml")
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`job="(\w+)"`).FindAllStringSubmatch(string(tests), -1) {
		assert.True(t, jobs[found[1]], "the rules' tests have the job %s, which nothing is scraped as", found[1])
	}
}

// All metrics of all roles please Prometheus' own linter.
func TestMetrics(t *testing.T) {
	problems, err := testutil.GatherAndLint(registry(t))
	require.NoError(t, err)
	assert.Empty(t, problems)
}
