package service_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/01-dns-tcp-tls/freeport"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/07-response-observability/service"
)

// role runs one of the service's roles until stop is called, which returns its error.
// It returns when the role is ready.
func role(t *testing.T, name string) (admin string, stop func() error) {
	t.Helper()
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	t.Setenv(strings.ToUpper(name)+"_ADDR", "127.0.0.1:0")
	ln, err := freeport.Listen()
	require.NoError(t, err)
	admin = ln.Addr().String()
	require.NoError(t, ln.Close())
	t.Setenv(strings.ToUpper(name)+"_ADMIN_ADDR", admin)
	_, run := service.New(service.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- run[name](ctx, &stage.Stage{Name: name, Log: slog.New(slog.DiscardHandler), Emit: func(e stage.Event) {
			if e.Event == stage.Ready {
				close(ready)
			}
		}})
	}()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		require.NoError(t, err, "%s ended before it was ready", name)
	case <-time.After(10 * time.Second):
		cancel()
		require.FailNow(t, name+" is not ready")
	}
	return admin, func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return context.DeadlineExceeded
		}
	}
}

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// A role can be operated: it says how it is, what it has counted and did, until its end,
// and it ends in order.
func TestOperator(t *testing.T) {
	admin, stop := role(t, "dns")
	for path, want := range map[string]string{
		"/livez": "live", "/readyz": `"ready"`, "/metrics": `shop_build_info{`, "/debug/pprof/": "goroutine",
		"/spans?trace=4bf92f3577b34da6a3ce929d0e0e4736": "[]",
	} {
		status, text := get(t, "http://"+admin+path)
		assert.Equal(t, http.StatusOK, status, path)
		assert.Contains(t, text, want, path)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	assert.Eventually(t, func() bool {
		status, text := get(t, "http://"+admin+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "draining")
	}, time.Second, 10*time.Millisecond, "it says that it is about to end, before it does")
	require.NoError(t, <-ended)
	status, _ := get(t, "http://"+admin+"/livez")
	assert.Zero(t, status, "nobody listens any more")
	require.NoError(t, goleak.Find())
}

// What is wrong in the environment is said, with what to do.
func TestMisuse(t *testing.T) {
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	for _, row := range []struct{ role, name, value, says string }{
		{"dns", "LOG_LEVEL", "loud", "say debug, info, warn or error"},
		{"a", "RATE_LIMIT", "many", "RATE_LIMIT"},
		{"a", "STRIPE_SECRET_KEY", "sk_live_hidden", "DANGEROUSLY_CHARGE_REAL_CARDS=yes"},
		{"dns", "DNS_ADMIN_ADDR", "127.0.0.1:none", "for the operator"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv(row.name, row.value)
			t.Setenv("DNS_ADDR", "127.0.0.1:0")
			d, run := service.New(service.Config{})
			err := run[row.role](t.Context(), &stage.Stage{Name: row.role, Log: slog.New(slog.DiscardHandler), Emit: func(stage.Event) {}})
			require.ErrorContains(t, err, row.says)
			assert.NotContains(t, err.Error(), "hidden")
			assert.Contains(t, d.Env, row.name, "what is read is described")
		})
	}
	require.NoError(t, goleak.Find())
}
