package loadbalancer_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/dispatch"
	"clicktocode.example/02-load-balancer/loadbalancer"
)

var churn = flag.Duration("churn", 3*time.Second, "how long replicas are killed and started again")

// TestMain runs the tests, or, where the environment says so, a replica.
func TestMain(m *testing.M) {
	if addr := os.Getenv("TEST_REPLICA_ADDR"); addr != "" {
		replica(addr, os.Getenv("TEST_REPLICA_JOURNAL"))
		return
	}
	os.Exit(m.Run())
}

// replica serves until its standard input ends. Each order that it takes it
// notes in the journal before it answers.
func replica(addr, journal string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	notes, err := os.OpenFile(journal, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	http.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "menu") })
	http.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		id, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(notes, "%s\n", id)
		fmt.Fprintf(w, "%s is cooked", id)
	})
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		panic(err)
	}
	panic(http.Serve(ln, nil))
}

// process is one replica, which may be killed and started again.
type process struct {
	cmd   *exec.Cmd
	alive io.Closer
}

func start(t *testing.T, addr, journal string) *process {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), "TEST_REPLICA_ADDR="+addr, "TEST_REPLICA_JOURNAL="+journal)
	p.alive, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.alive.Close()
}

// TestChurn kills a replica every second and starts it again, under load: no
// GET may fail, and no order be cooked twice.
//
//	go test ./loadbalancer -run Churn -churn 60s -v
func TestChurn(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.WriteFile(journal, nil, 0o600))
	var pairs, addrs []string
	var replicas []*process
	for _, name := range []string{"a", "b", "c"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addrs, pairs = append(addrs, ln.Addr().String()), append(pairs, name+"="+ln.Addr().String())
		ln.Close()
		replicas = append(replicas, start(t, addrs[len(addrs)-1], journal))
	}
	defer func() {
		for _, p := range replicas {
			p.kill()
		}
	}()
	backends, err := loadbalancer.Backends(pairs...)
	require.NoError(t, err)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	urls, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		quiet := slog.New(slog.DiscardHandler)
		ended <- loadbalancer.Run(ctx, loadbalancer.Config{Backends: backends, HealthPath: "/", Log: quiet}, func(h *dispatch.Handler) error {
			server := httptest.NewServer(h)
			defer server.Close()
			urls <- server.URL
			<-ctx.Done()
			return nil
		})
	}()
	url := <-urls
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	require.Eventually(t, func() bool {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond, "the replicas come up")

	var gets, failedGets, orders, failedOrders atomic.Int64
	over := time.Now().Add(*churn)
	var work sync.WaitGroup
	for worker := range 4 {
		work.Go(func() {
			for n := 0; time.Now().Before(over); n++ {
				gets.Add(1)
				if text, err := do(client.Get(url)); err != nil || text != "menu" {
					failedGets.Add(1)
					t.Logf("GET: %v %q", err, text)
				}
				// Without an Idempotency-Key: it may fail, and must not be repeated.
				orders.Add(1)
				if _, err := do(client.Post(url+"/orders", "text/plain", strings.NewReader(fmt.Sprintf("order %d.%d", worker, n)))); err != nil {
					failedOrders.Add(1)
				}
			}
		})
	}
	kills := 0
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Now().Before(over) {
		<-tick.C // the rhythm of the test, and no wait for anything
		victim := kills % len(replicas)
		replicas[victim].kill()
		replicas[victim] = start(t, addrs[victim], journal)
		kills++
	}
	work.Wait()
	stop()
	require.NoError(t, <-ended)

	noted, err := os.ReadFile(journal)
	require.NoError(t, err)
	cooked := map[string]int{}
	for _, id := range strings.Split(strings.TrimSpace(string(noted)), "\n") {
		cooked[id]++
		assert.Equal(t, 1, cooked[id], "%s was cooked again: an order without a key is never repeated once it was sent (RFC 9110 §9.2.2)", id)
	}
	assert.Zero(t, failedGets.Load(), "of %d GETs; each can be repeated elsewhere", gets.Load())
	assert.GreaterOrEqual(t, int64(len(cooked)), orders.Load()-failedOrders.Load(), "what was answered was cooked")
	t.Logf("%d kills: %d GETs, %d failed; %d orders, %d failed, %d cooked", kills, gets.Load(), failedGets.Load(), orders.Load(), failedOrders.Load(), len(cooked))
}

// do is an answer's body; a status other than 200 is an error.
func do(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(text), err
}

func TestRunRefusesWhatCannotBe(t *testing.T) {
	never := func(*dispatch.Handler) error { return fmt.Errorf("it served") }
	err := loadbalancer.Run(t.Context(), loadbalancer.Config{Picker: "dice"}, never)
	assert.ErrorContains(t, err, `there is no picker "dice": choose one of roundrobin, weighted, leastconn, hashring`)
	_, err = loadbalancer.Backends("a=127.0.0.1:1", "b")
	assert.ErrorContains(t, err, `"b": want name=host:port`)
	for _, picker := range loadbalancer.Pickers() {
		assert.NoError(t, loadbalancer.Run(t.Context(), loadbalancer.Config{Picker: picker}, func(*dispatch.Handler) error { return nil }))
	}
}
