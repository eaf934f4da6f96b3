// Package edgetest tests an edge from outside, as its clients and its origin see
// it: what goes on and what ends at it, what a shared cache does, compression,
// and what must not come through, on raw sockets.
//
// It is told how to start one, and so tests any: ours, and nginx and HAProxy,
// which is what shows that the tests are true. A leaf that an edge fails by its
// own choice is listed with the reason, and has to fail then.
//
// Nothing waits for time to pass. An origin that wants to be stale says so in Age
// (RFC 9111 §4.2.3). A condition is waited for under a deadline, which only a
// fault makes longer.
//
// Source: RFC 9110 (HTTP), 9111 (caching), 9112 (HTTP/1.1), 9113 (HTTP/2), 5861
// (stale-while-revalidate and stale-if-error), 8297 (103), 9211 (Cache-Status),
// 9213 (CDN-Cache-Control); PortSwigger's "HTTP desync attacks".
package edgetest

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// Host is what all requests are for, unless they say otherwise. The certificate
// of an edge for HTTP/2 need not have it.
const Host = "shop.test"

// deadline is for what has to happen. quiet is for what must not: so long it is
// waited for.
const (
	deadline = 3 * time.Second
	quiet    = 150 * time.Millisecond
)

// Start starts an edge in front of the origin at that address, and returns where
// it takes HTTP/1.1 in the clear. It ends with t.
//
// It is to pass on requests for any host and path, to keep what may be kept, to
// compress text by gzip from 1 KB on, to trust no client's word on who it is, and
// to tell the origin by X-Forwarded-For who asked. It must not limit the size of
// content below 16 MB, and must limit a header to less than 512 KB and 5000 fields.
type Start func(t testing.TB, origin string) (addr string)

// Run tests the edge that start starts. skip maps the name of a leaf, as in
// "caching/a_hit_has_an_age", to the reason why this edge fails it by its own
// choice. Such a leaf is run all the same: if it passes, the entry is out of
// date, and that is a failure.
func Run(t *testing.T, start func(t testing.TB, origin string) (addr string), skip map[string]string) {
	run(t, groups, start, skip)
}

func run(t *testing.T, groups []group, start Start, skip map[string]string) {
	var known []string
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			var shared *site
			if slices.ContainsFunc(g.leaves, func(l leaf) bool { return l.page != nil }) {
				shared = newSite(t, start)
			}
			for _, l := range g.leaves {
				t.Run(l.name, func(t *testing.T) {
					l.judge(t, shared, start, skip[g.name+"/"+l.name])
				})
			}
		})
		for _, l := range g.leaves {
			known = append(known, g.name+"/"+l.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(skip)) {
		if !slices.Contains(known, name) {
			t.Errorf("edgetest: there is no leaf %q to skip", name)
		}
	}
}

type group struct {
	name   string
	leaves []leaf
}

// leaf is one fact. It has one of page and wire.
type leaf struct {
	name string
	// page is given an origin that speaks good HTTP, and an edge that it shares
	// with others: each has pages of its own.
	page func(t testing.TB, s *site)
	// wire starts an edge of its own: what it does to it may spoil it for others.
	wire func(t testing.TB, start Start)
}

// judge runs l, and, if there is a reason why it fails, wants it to fail.
func (l leaf) judge(t *testing.T, shared *site, start Start, reason string) {
	do := func(tb testing.TB) {
		if l.page != nil {
			l.page(tb, shared)
		} else {
			l.wire(tb, func(_ testing.TB, origin string) string { return start(t, origin) }) // an edge that does not start is no choice
		}
	}
	if reason == "" {
		do(t)
		return
	}
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(v)
	}()
	<-done
	if !v.Failed() {
		t.Errorf("it passes, and is listed as failing by choice (%s): take it off the list", reason)
		return
	}
	t.Log("fails by choice: ", reason)
}

// verdict is a test that may fail without anybody being told.
type verdict struct {
	testing.TB
	mu     sync.Mutex
	failed bool // guarded by mu
}

func (v *verdict) Fail() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = true
}

func (v *verdict) Failed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

func (v *verdict) FailNow()              { v.Fail(); runtime.Goexit() }
func (v *verdict) Error(...any)          { v.Fail() }
func (v *verdict) Errorf(string, ...any) { v.Fail() }
func (v *verdict) Fatal(...any)          { v.FailNow() }
func (v *verdict) Fatalf(string, ...any) { v.FailNow() }

var groups = []group{
	{"forwarding", forwarding},
	{"streaming", streaming},
	{"upgrade", upgrading},
	{"caching", caching},
	{"staleness", staleness},
	{"compression", compression},
	{"requests", requests},
	{"answers", answers},
}
