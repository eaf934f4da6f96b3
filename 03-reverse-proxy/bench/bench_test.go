package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" { // the benchmark starts itself
		os.Exit(child(os.Stdin, os.Stdout))
	}
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // else each child that was built with it ends a second late
	os.Exit(m.Run())
}

// TestRun is a whole run, as short as can be: it says nothing about speed, and
// that each contender works in each mode.
func TestRun(t *testing.T) {
	o := options{rounds: 1, duration: 200 * time.Millisecond, conns: 4, warm: 50 * time.Millisecond}
	require.NoError(t, o.parse("", strings.Join(modeNames(), ","), nil))
	var said bytes.Buffer
	results, err := run(t.Context(), o, &said)
	require.NoError(t, err, "it said:\n%s", &said)
	require.GreaterOrEqual(t, len(results), 3, "ours and the two ReverseProxies need nothing installed")
	for _, r := range results {
		for m, samples := range r.samples {
			require.Len(t, samples, 1)
			s := samples[0]
			assert.Zero(t, s.errors, "%s %s", r.name, m)
			assert.Positive(t, s.requests, "%s %s", r.name, m)
			assert.LessOrEqual(t, s.p50, s.p99, "%s %s", r.name, m)
		}
	}
	var table bytes.Buffer
	require.NoError(t, print(&table, o, results))
	for _, want := range []string{"ours", "reverseproxy-tuned", titles[plain], titles[proxied]} {
		assert.Contains(t, table.String(), want)
	}
}

func TestProfile(t *testing.T) {
	file := t.TempDir() + "/cpu.out"
	o := options{rounds: 1, duration: 200 * time.Millisecond, conns: 4, warm: 10 * time.Millisecond, profile: file}
	require.NoError(t, o.parse("ours", string(plain), nil))
	_, err := run(t.Context(), o, io.Discard)
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(text, []byte{0x1f, 0x8b}), "a profile is gzip'ed")
}

func TestOptions(t *testing.T) {
	good := options{rounds: 1, duration: time.Second, conns: 1}
	require.NoError(t, good.parse("ours,nginx", "hit", nil))
	assert.Equal(t, []string{"ours", "nginx"}, good.only)
	assert.Equal(t, []mode{hit}, good.modes)

	bad := options{rounds: 0, duration: time.Hour, conns: 1e6}
	err := bad.parse("apache", "ftp", []string{"more"})
	for _, want := range []string{"0 rounds", "1h0m0s", "1000000 connections", `"apache"`, `"ftp"`, `"more"`} {
		assert.ErrorContains(t, err, want, "all that is wrong is told at once")
	}
}

// TestLoad has the client meet servers that do what they should not.
func TestLoad(t *testing.T) {
	o := options{duration: 150 * time.Millisecond, conns: 2, warm: time.Millisecond}
	request := request{text: []byte("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")}
	ask := func(t *testing.T, h http.HandlerFunc) (sample, error) {
		server := httptest.NewServer(h)
		defer server.Close()
		return load(t.Context(), server.Listener.Addr().String(), request, o, os.Getpid())
	}

	t.Run("counts_good_answers", func(t *testing.T) {
		var served atomic.Int64
		s, err := ask(t, func(w http.ResponseWriter, _ *http.Request) { served.Add(1); _, _ = w.Write(answer) })
		require.NoError(t, err)
		assert.Zero(t, s.errors)
		assert.Positive(t, s.requests)
		assert.LessOrEqual(t, int64(s.requests), served.Load())
		assert.InDelta(t, float64(s.requests)/o.duration.Seconds(), s.rate, s.rate)
	})

	t.Run("reads_answers_that_come_in_pieces", func(t *testing.T) {
		s, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
			for _, piece := range [][]byte{answer[:1], answer[1:500], answer[500:]} {
				_, _ = w.Write(piece)
				_ = http.NewResponseController(w).Flush()
			}
		})
		require.NoError(t, err)
		assert.Positive(t, s.requests)
	})

	t.Run("dials_again_where_the_server_closes", func(t *testing.T) {
		s, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			_, _ = w.Write(answer)
		})
		require.NoError(t, err)
		assert.Positive(t, s.requests)
		assert.Zero(t, s.errors)
	})

	for name, h := range map[string]http.HandlerFunc{
		"502":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"shorter": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer[1:]) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
			_, _ = w.Write(answer[1:])
		},
	} {
		t.Run("counts_no_answer_that_is_"+name, func(t *testing.T) {
			s, err := ask(t, h)
			require.Error(t, err)
			assert.Zero(t, s.requests)
			assert.Positive(t, s.errors)
		})
	}

	t.Run("fails_where_nobody_listens", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		_, err = load(t.Context(), ln.Addr().String(), request, o, os.Getpid())
		assert.Error(t, err)
	})

	t.Run("does_not_believe_any_certificate", func(t *testing.T) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		defer server.Close()
		request := request
		request.tls = &tls.Config{ServerName: host}
		_, err := load(t.Context(), server.Listener.Addr().String(), request, o, os.Getpid())
		assert.ErrorContains(t, err, "certificate")
	})
}

func TestMedian(t *testing.T) {
	assert.Equal(t, 0.0, median(nil))
	assert.Equal(t, 3.0, median([]float64{9, 3, 1}))
	assert.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
}

func TestUsage(t *testing.T) {
	if cpu(os.Getpid()) < 0 {
		t.Skip("not measured here")
	}
	for began := cpu(os.Getpid()); cpu(os.Getpid()) < began+20*time.Millisecond; {
	}
	assert.Greater(t, peak(os.Getpid()), 1.0)
	assert.Less(t, peak(os.Getpid()), 4096.0)
	assert.Zero(t, cpu(1<<30), "no such process")
}
