package sendgrid_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/05-business-logic/sendgrid"
	"clicktocode.example/05-business-logic/sendgrid/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is in no error.
const key = "SG.xN3p-of-the-test.9hT2"

func TestMailer(t *testing.T) {
	ordertest.TestMailer(t, func(t *testing.T) ordertest.Post {
		p := provide(t, sendgrid.Config{})
		return ordertest.Post{Mailer: p.client, Sent: func(*testing.T) (sent []order.Mail) {
			for _, m := range p.server.Mailbox() {
				require.Len(t, m.To, 1)
				sent = append(sent, order.Mail{Key: m.Args["key"], To: m.To[0], Subject: m.Subject, Text: m.Text})
			}
			return sent
		}}
	})
}

func TestSend(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault standin.Fault
		want  error // nil is sent
		taken int
	}{
		{"takes_202_for_sent", standin.Fault{}, nil, 1},
		{"is_invalid_after_a_400", standin.Fault{Status: 400}, order.ErrInvalid, 0},
		{"is_invalid_after_a_413", standin.Fault{Status: 413}, order.ErrInvalid, 0},
		{"is_unavailable_after_a_401_since_the_key_can_be_changed", standin.Fault{Status: 401}, order.ErrUnavailable, 0},
		{"is_unavailable_after_a_403", standin.Fault{Status: 403}, order.ErrUnavailable, 0},
		{"is_unavailable_after_a_429", standin.Fault{Status: 429}, order.ErrUnavailable, 0},
		{"is_unavailable_after_a_503", standin.Fault{Status: 503}, order.ErrUnavailable, 0},
		{"is_unknown_after_a_500_that_did_it", standin.Fault{Status: 500, Work: true}, order.ErrUnknown, 1},
		{"is_unknown_after_a_502_that_did_nothing", standin.Fault{Status: 502}, order.ErrUnknown, 0},
		{"is_unknown_when_the_connection_broke", standin.Fault{Hangup: true}, order.ErrUnknown, 0},
		{"is_unknown_when_the_answer_was_lost", standin.Fault{Hangup: true, Work: true}, order.ErrUnknown, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := provide(t, sendgrid.Config{})
			p.server.Next(row.fault)
			err := p.client.Send(t.Context(), receipt())
			require.Len(t, p.server.Mailbox(), row.taken)
			kind(t, err, row.want)
		})
	}

	t.Run("sends_the_key_and_the_sender_along", func(t *testing.T) {
		p := provide(t, sendgrid.Config{})
		require.NoError(t, p.client.Send(t.Context(), receipt()))
		got := p.server.Mailbox()[0]
		assert.Equal(t, map[string]string{"key": "paid-17"}, got.Args)
		assert.Equal(t, `"The shop" <orders@shop.test>`, got.From)
	})

	t.Run("sends_twice_what_is_sent_again", func(t *testing.T) {
		p := provide(t, sendgrid.Config{})
		p.server.Next(standin.Fault{Hangup: true, Work: true})
		require.ErrorIs(t, p.client.Send(t.Context(), receipt()), order.ErrUnknown)
		require.NoError(t, p.client.Send(t.Context(), receipt()))
		assert.Len(t, p.server.Mailbox(), 2, "SendGrid knows no keys")
	})

	t.Run("is_invalid_and_not_sent", func(t *testing.T) {
		p := provide(t, sendgrid.Config{})
		for _, spoil := range []func(*order.Mail){
			func(m *order.Mail) { m.To = "Ada <ada@example.com>" },
			func(m *order.Mail) { m.To = "ada@example.com, bob@example.com" },
			func(m *order.Mail) { m.Subject = "" },
			func(m *order.Mail) { m.Subject = "Your order\r\nBcc: bob@example.com" },
			func(m *order.Mail) { m.Text = "" },
			func(m *order.Mail) { m.Key = strings.Repeat("k", 1001) },
		} {
			m := receipt()
			spoil(&m)
			err := p.client.Send(t.Context(), m)
			kind(t, err, order.ErrInvalid)
			var invalid *order.InvalidError
			assert.ErrorAs(t, err, &invalid, "%+v", m)
		}
		assert.Zero(t, p.requests.Load())
	})

	t.Run("is_unavailable_when_nobody_is_there", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, ln.Close())
		kind(t, client(t, sendgrid.Config{Host: "http://" + ln.Addr().String()}).Send(t.Context(), receipt()), order.ErrUnavailable)
	})

	t.Run("is_unavailable_with_another_key", func(t *testing.T) {
		p := provide(t, sendgrid.Config{Key: "SG.another"})
		kind(t, p.client.Send(t.Context(), receipt()), order.ErrUnavailable)
		assert.Empty(t, p.server.Mailbox())
	})

	t.Run("is_unknown_when_its_time_is_over", func(t *testing.T) {
		p := provide(t, sendgrid.Config{Timeout: 100 * time.Millisecond})
		p.server.Next(standin.Fault{Delay: time.Hour})
		err := p.client.Send(t.Context(), receipt())
		kind(t, err, order.ErrUnknown)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})

	t.Run("is_unknown_when_the_caller_leaves_meanwhile", func(t *testing.T) {
		p := provide(t, sendgrid.Config{})
		p.server.Next(standin.Fault{Delay: time.Hour})
		ctx, leave := context.WithCancel(t.Context())
		p.arrived = leave
		err := p.client.Send(ctx, receipt())
		kind(t, err, order.ErrUnknown)
		assert.ErrorIs(t, err, context.Canceled)
	})
}

// TestFaultyServer: what comes is not from SendGrid, or more than anybody can read.
func TestFaultyServer(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   error
	}{
		"a_202_that_breaks_off": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "5000")
			w.WriteHeader(202)
			_, _ = io.WriteString(w, "half")
		}, nil},
		"a_400_without_end": {func(w http.ResponseWriter) {
			w.WriteHeader(400)
			for _, err := io.WriteString(w, "x\n"); err == nil; _, err = io.WriteString(w, strings.Repeat("x\n", 1000)) {
			}
		}, order.ErrInvalid},
		"a_400_of_many_lines": {func(w http.ResponseWriter) {
			w.WriteHeader(400)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]any{"message": strings.Repeat("a line\n", 100), "field": "x\ny"}}})
		}, order.ErrInvalid},
		"a_page_of_a_proxy": {func(w http.ResponseWriter) { w.WriteHeader(502); _, _ = io.WriteString(w, "<html>Bad Gateway") }, order.ErrUnknown},
		"a_redirection":     {func(w http.ResponseWriter) { w.Header().Set("Location", "http://127.0.0.1:1/"); w.WriteHeader(307) }, order.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "Bearer "+key, r.Header.Get("Authorization"))
				_, _ = io.Copy(io.Discard, r.Body)
				row.answer(w)
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			t.Cleanup(server.Close)
			kind(t, client(t, sendgrid.Config{Host: server.URL}).Send(t.Context(), receipt()), row.want)
		})
	}
}

func TestNew(t *testing.T) {
	for name, row := range map[string]struct {
		config sendgrid.Config
		says   string // nothing is fine
	}{
		"a_key_and_a_sender":      {sendgrid.Config{Key: key, From: "orders@shop.test"}, ""},
		"no_key":                  {sendgrid.Config{From: "orders@shop.test"}, "Key"},
		"a_key_of_two_lines":      {sendgrid.Config{Key: "SG.hidden\n", From: "orders@shop.test"}, "Key"},
		"no_sender":               {sendgrid.Config{Key: key}, "From"},
		"a_host_in_the_clear":     {sendgrid.Config{Key: key, From: "orders@shop.test", Host: "http://mail.test"}, "https"},
		"a_host_with_credentials": {sendgrid.Config{Key: key, From: "orders@shop.test", Host: "https://a:hidden@mail.test"}, "Host"},
		"a_host_with_a_path":      {sendgrid.Config{Key: key, From: "orders@shop.test", Host: "https://mail.test/v3"}, "Host"},
		"a_Timeout_below_0":       {sendgrid.Config{Key: key, From: "orders@shop.test", Timeout: -1}, "Timeout"},
		"all_at_once":             {sendgrid.Config{Timeout: -1}, "From"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := sendgrid.New(row.config)
			if row.says == "" {
				require.NoError(t, err)
				c.Close()
				return
			}
			require.ErrorContains(t, err, row.says)
			assert.NotContains(t, err.Error(), "hidden")
		})
	}
}

// kind asserts that err is want, and none of the others, and says nothing that
// nobody may read.
func kind(t *testing.T, err, want error) {
	t.Helper()
	if want == nil {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, want)
	for _, other := range []error{order.ErrInvalid, order.ErrUnavailable, order.ErrUnknown} {
		assert.Equal(t, other == want, errors.Is(err, other), "%v is %v", err, other)
	}
	assert.NotContains(t, err.Error(), key)
	assert.NotContains(t, err.Error(), receipt().Text)
	assert.NotContains(t, err.Error(), "\n", "an error is one line of a log")
	assert.Less(t, len(err.Error()), 500)
}

func receipt() order.Mail {
	return order.Mail{Key: "paid-17", To: "ada@example.com", Subject: "Your order 17", Text: "Thank you!\n"}
}

// provided is a Client before a stand-in.
type provided struct {
	client   *sendgrid.Client
	server   *standin.Server
	requests atomic.Int32
	arrived  func() // is called with each request, unless it is nil
}

func provide(t *testing.T, c sendgrid.Config) *provided {
	t.Helper()
	server, err := standin.New(standin.Config{Key: key})
	require.NoError(t, err)
	p := &provided{server: server}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if p.arrived != nil {
			p.arrived()
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	c.Host = web.URL
	p.client = client(t, c)
	return p
}

func client(t *testing.T, c sendgrid.Config) *sendgrid.Client {
	t.Helper()
	if c.Key == "" {
		c.Key = key
	}
	c.From = "The shop <orders@shop.test>"
	made, err := sendgrid.New(c)
	require.NoError(t, err)
	t.Cleanup(made.Close)
	return made
}
