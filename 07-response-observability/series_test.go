package main

import (
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A series for each path, or for each method that somebody has made up, would be kept by
// each process and by Prometheus, for weeks. So no number of them makes another series.
func (s *stack) metricsDoNotGrow(t *testing.T) {
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", ""} // "" is a random one
	paths := []string{"/", "/menu/", "/menu?dish=", "/orders/", "/session/", "/webhooks/", "/openapi.json/", "/metrics/"}
	var answered atomic.Int64
	knock := func(requests int) {
		var all sync.WaitGroup
		for i := range 8 { // customers, so that each edge has some
			all.Go(func() {
				v := s.Client(i)
				defer v.Leave()
				for n := range requests / 8 {
					method, path := methods[n%len(methods)], paths[n/len(methods)%len(paths)]+rand.Text()
					if method == "" {
						method = rand.Text()
					}
					if _, _, err := v.Ask(method, path, nil); err == nil {
						answered.Add(1)
					}
				}
			})
		}
		all.Wait()
	}
	roles := []string{"edge1", "edge2", "a", "b", "c"}
	knock(1000)
	before := map[string]map[string]bool{}
	for _, role := range roles {
		before[role] = s.series(role)
	}
	answered.Store(0)
	knock(10_000)
	require.Greater(t, answered.Load(), int64(9_900), "of 10,000 requests, these were answered")
	for _, role := range roles {
		var more []string
		after := s.series(role)
		for name := range after {
			if !before[role][name] {
				more = append(more, name)
			}
		}
		// A request that was answered in a way that none was before may make a few.
		assert.LessOrEqual(t, len(more), 10, "%s has new series, after 10,000 paths and methods: %.2000s", role, strings.Join(more, "\n"))
		t.Logf("%s: %d series before, %d after", role, len(before[role]), len(after))
	}
}

// series are all that a role shows Prometheus, by name and labels.
func (s *stack) series(role string) map[string]bool {
	text, err := s.operator(role, "/metrics")
	require.NoError(s.t, err)
	all := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if end := strings.LastIndexByte(line, ' '); end > 0 && !strings.HasPrefix(line, "#") {
			all[line[:end]] = true
		}
	}
	require.Contains(s.t, all, "http_requests_in_flight")
	return all
}
