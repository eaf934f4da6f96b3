package replica_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/solution/ratelimit"
	"clicktocode.example/05-business-logic/replica"
	"clicktocode.example/05-business-logic/sendgrid"
	"clicktocode.example/05-business-logic/solution/payment"
	"clicktocode.example/05-business-logic/stripe"
	till "clicktocode.example/05-business-logic/stripe/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whatever Stripe does, an order is answered in time; and when it fails again and
// again, it is not asked any more.
func TestBreaker(t *testing.T) {
	s := newStand(t)
	for range 5 {
		s.till.Next(till.Fault{Status: 500}, till.Fault{Status: 500}, till.Fault{Status: 500})
	}
	for i := range 5 {
		require.Equal(t, http.StatusAccepted, s.order(t, fmt.Sprint("dinner-", i)), "nobody knows what a 500 has done")
	}
	began := time.Now()
	assert.Equal(t, http.StatusServiceUnavailable, s.order(t, "dinner-6"), "five charges have failed in a row: the next one is not sent")
	assert.Less(t, time.Since(began), time.Second)
	assert.Empty(t, s.till.Payments())
}

func TestNew(t *testing.T) {
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	key, err := issuer.Open("")
	require.NoError(t, err)
	full := func() replica.Config {
		return replica.Config{
			Key:    key,
			Stripe: stripe.Config{Key: replica.StripeKey, URL: "http://127.0.0.1:1"},
			Mail:   sendgrid.Config{Key: replica.SendGridKey, Host: "http://127.0.0.1:1", From: "orders@shop.test"},
			Log:    slog.New(slog.DiscardHandler),
		}
	}
	t.Run("ends_with_Close", func(t *testing.T) {
		r, err := replica.New(full())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.NoError(t, r.Close(ctx))
		require.NoError(t, goleak.Find())
	})
	t.Run("leaves_nothing_behind_when_it_fails", func(t *testing.T) {
		c := full()
		c.Key = nil
		_, err := replica.New(c)
		require.Error(t, err)
		require.NoError(t, goleak.Find())
	})
	t.Run("names_the_faults_of_all_clients", func(t *testing.T) {
		_, err := replica.New(replica.Config{Key: key})
		for _, what := range []string{"stripe: Key", "sendgrid: Key", "sendgrid: From"} {
			require.ErrorContains(t, err, what)
		}
	})
}

func TestSecret(t *testing.T) {
	t.Run("is_made_once", func(t *testing.T) {
		dir := t.TempDir()
		found := make([]string, 20)
		var all sync.WaitGroup
		for i := range found {
			all.Go(func() { found[i], _ = replica.Secret(dir) })
		}
		all.Wait()
		for _, secret := range found {
			require.NotEmpty(t, secret)
			require.Equal(t, found[0], secret, "processes that open the folder at once must agree")
		}
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, files, 1, "nothing else is left behind")
		info, err := files[0].Info()
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		}
		other, err := replica.Secret(t.TempDir())
		require.NoError(t, err)
		assert.NotEqual(t, found[0], other)
	})
	t.Run("is_not_used_when_others_can_read_it", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no such modes")
		}
		dir := t.TempDir()
		_, err := replica.Secret(dir)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(filepath.Join(dir, replica.SecretFile), 0o644))
		_, err = replica.Secret(dir)
		assert.ErrorContains(t, err, "delete it")
	})
	t.Run("is_not_used_when_it_is_damaged", func(t *testing.T) {
		dir := t.TempDir()
		for _, text := range []string{"", "whsec_", "secret\n"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, replica.SecretFile), []byte(text), 0o600))
			_, err := replica.Secret(dir)
			assert.ErrorContains(t, err, "delete it", "%q", text)
		}
	})
}

func TestMenu(t *testing.T) {
	dishes, stock := replica.Menu()
	require.Len(t, stock, len(dishes), "each dish has another ID")
	for _, d := range dishes {
		assert.Positive(t, stock[d.ID], d.ID)
		assert.Positive(t, d.Price.Amount, d.ID)
		assert.NotEmpty(t, d.Name, d.ID)
	}
}

func TestPrefixes(t *testing.T) {
	all, err := replica.Prefixes("127.0.0.1/32, 10.0.0.0/8 ::1/128")
	require.NoError(t, err)
	assert.Equal(t, "[127.0.0.1/32 10.0.0.0/8 ::1/128]", fmt.Sprint(all))
	all, err = replica.Prefixes("")
	require.NoError(t, err)
	assert.Empty(t, all)
	_, err = replica.Prefixes("127.0.0.1")
	assert.ErrorContains(t, err, "192.0.2.1/32")
}

func TestLimit(t *testing.T) {
	for text, want := range map[string]ratelimit.Config{
		"20":      {Rate: 20, Burst: 40},
		"0.5":     {Rate: 0.5, Burst: 1},
		"0.01":    {Rate: 0.01, Burst: 1},
		"1000000": {Rate: 1e6, Burst: 2e6},
		"0":       {Rate: rate.Inf, Burst: 1},
	} {
		perSecond, burst, err := replica.Limit(text)
		require.NoError(t, err, text)
		got := ratelimit.Config{Rate: perSecond, Burst: burst}
		assert.Equal(t, want, got, text)
		_, err = ratelimit.New(got)
		assert.NoError(t, err, text)
	}
	for _, text := range []string{"", "-1", "NaN", "Inf", "1e300", "many", "20/s"} {
		_, _, err := replica.Limit(text)
		require.ErrorContains(t, err, fmt.Sprintf("RATE_LIMIT: %q", text))
	}
}

func TestTry(t *testing.T) {
	d := stage.Description{URL: "https://shop.test:9443/menu", Roles: []stage.Role{{Name: "payments", Addr: "127.0.0.1:1"}, {Name: "mail", Addr: "127.0.0.1:2"}}}
	text, err := json.Marshal(replica.Try(d))
	require.NoError(t, err)
	for _, part := range []string{"https://shop.test:9443/orders", "--resolve shop.test:9443:127.0.0.1", "http://127.0.0.1:1/v1/", "http://127.0.0.1:2/mailbox"} {
		assert.Contains(t, string(text), part)
	}
	d.Roles = nil
	text, err = json.Marshal(replica.Try(d))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "standin", "what is not there cannot be tried")
}

// stand is a Replica that is served, and what it talks to.
type stand struct {
	till  *till.Server
	url   string
	token string
	web   *http.Client
}

func newStand(t *testing.T) *stand {
	t.Helper()
	t.Setenv("WORKSHOP_DIR", t.TempDir())
	key, err := issuer.Open("")
	require.NoError(t, err)
	s := &stand{}
	s.token, err = key.Sign("ada", []string{"orders:write"}, time.Hour)
	require.NoError(t, err)
	s.till, err = till.New(till.Config{})
	require.NoError(t, err)
	stripeAPI := httptest.NewServer(s.till)
	r, err := replica.New(replica.Config{
		Key:    key,
		Stripe: stripe.Config{Key: replica.StripeKey, URL: stripeAPI.URL, Retry: payment.Config{FirstDelay: time.Millisecond}},
		Mail:   sendgrid.Config{Key: replica.SendGridKey, Host: "http://127.0.0.1:1", From: "orders@shop.test"},
		Log:    slog.New(slog.DiscardHandler), Interval: time.Hour,
	})
	require.NoError(t, err)
	web := httptest.NewServer(r)
	s.url, s.web = web.URL, web.Client()
	t.Cleanup(func() {
		web.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		assert.NoError(t, r.Close(ctx))
		s.till.Close()
		stripeAPI.CloseClientConnections()
		stripeAPI.Close()
	})
	return s
}

// order orders tea, and returns the answer's status.
func (s *stand) order(t *testing.T, key string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/orders", strings.NewReader(`{"lines": [{"dish": "tea", "quantity": 1}]}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Idempotency-Key", key)
	answer, err := s.web.Do(req)
	require.NoError(t, err)
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}
