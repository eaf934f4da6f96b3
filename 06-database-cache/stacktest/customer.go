package stacktest

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/05-business-logic/order"
)

// Customer is one, with a connection of their own; where it can be, from an address of
// their own, too. Its methods may be called by many goroutines at once.
type Customer struct {
	s     *Stack
	token string
	web   *http.Client
}

// Customer returns the n-th one.
func (s *Stack) Customer(name string, n int) *Customer {
	s.t.Helper()
	roots, err := authority.Pool(os.Getenv("WORKSHOP_DIR"))
	require.NoError(s.t, err)
	own := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, TLSHandshakeTimeout: Patience,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			ips, err := s.names.Lookup(ctx, host)
			if err != nil {
				return nil, err
			}
			dialer := net.Dialer{Timeout: Patience}
			if runtime.GOOS == "linux" { // which has all of 127.0.0.0/8
				dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort(ips[0].String(), port))
		},
	}
	s.t.Cleanup(own.CloseIdleConnections)
	return &Customer{s: s, token: s.Token(name, "orders:read orders:write"), web: &http.Client{Transport: own, Timeout: Patience}}
}

// Do sends a request through the door, as this customer, and reads the answer. header
// are names and values in turn.
func (c *Customer) Do(method, path string, body io.Reader, header ...string) (status int, text []byte, err error) {
	_, port, _ := net.SplitHostPort(os.Getenv("BALANCER_ADDR"))
	req, err := http.NewRequestWithContext(c.s.t.Context(), method, "https://shop.test:"+port+path, body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// Place sends an order, once.
func (c *Customer) Place(key string, item order.Item, method string) (status int, text []byte, err error) {
	body, err := json.Marshal(map[string]any{"lines": []order.Item{item}, "payment_method": method})
	if err != nil {
		return 0, nil, err
	}
	return c.Do("POST", "/orders", strings.NewReader(string(body)), "Idempotency-Key", key)
}

// Tally is what customers have met with. The zero value is ready.
type Tally struct {
	Requests, UnderWay, Again atomic.Int64

	mu      sync.Mutex // guards what follows, while customers click
	Clicks  int
	SoldOut int
	Orders  []string        // that customers were told are paid, by ID
	Pending []string        // of which they were told that nobody knows yet
	Times   []time.Duration // from a click to the order
	Faults  []string        // what a customer must not see
}

// Told is how many orders customers were told of, so far.
func (t *Tally) Told() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.Orders)
}

// Quantile is that of Times.
func (t *Tally) Quantile(q float64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.Times) == 0 {
		return 0
	}
	slices.Sort(t.Times)
	return t.Times[int(q*float64(len(t.Times)-1))].Round(10 * time.Microsecond)
}

// DoubleClick sends an order twice at once, and each of the two again, for patience,
// until it is known what became of it.
func (c *Customer) DoubleClick(t *Tally, key string, item order.Item, patience time.Duration) {
	began := time.Now()
	var ids [2]string
	var pending [2]bool
	var faults [2]error
	var both sync.WaitGroup
	for i := range ids {
		both.Go(func() { ids[i], pending[i], faults[i] = c.insist(t, key, item, patience) })
	}
	both.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Clicks++
	t.Times = append(t.Times, time.Since(began))
	switch err := errors.Join(faults[:]...); {
	case err != nil:
		t.Faults = append(t.Faults, err.Error())
	case ids[0] != ids[1]:
		t.Faults = append(t.Faults, fmt.Sprintf("a double click on %v made two orders: %q", item, ids))
	case ids[0] == "":
		t.SoldOut++
	case pending[0] && pending[1]:
		t.Pending = append(t.Pending, ids[0])
	default:
		t.Orders = append(t.Orders, ids[0])
	}
}

// insist is what a careful client does: it asks again, with the same key, until the
// answer is one for good. The ID is empty if the dish is sold out.
func (c *Customer) insist(t *Tally, key string, item order.Item, patience time.Duration) (id string, pending bool, err error) {
	for end := time.Now().Add(patience); ; {
		t.Requests.Add(1)
		status, text, err := c.Place(key, item, "pm_card_visa")
		var said struct{ ID, Type, Detail string }
		if err == nil {
			err = json.Unmarshal(text, &said)
		}
		switch {
		case err == nil && status == http.StatusCreated:
			return said.ID, false, nil
		case err == nil && status == http.StatusAccepted:
			return said.ID, true, nil
		case status == http.StatusConflict && strings.HasSuffix(said.Type, "/sold-out"):
			return "", false, nil
		case status == http.StatusConflict && strings.HasSuffix(said.Type, "/idempotency-in-flight"):
			t.UnderWay.Add(1)
		case err != nil, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout, status == http.StatusBadGateway:
			t.Again.Add(1)
		default:
			return "", false, fmt.Errorf("status %d, %.300s", status, text)
		}
		if time.Now().After(end) {
			return "", false, fmt.Errorf("no answer for good: status %d, %.300s, %w", status, text, cmp.Or(err, context.DeadlineExceeded))
		}
		time.Sleep(5 * time.Millisecond) // as Retry-After asks for, only shorter
	}
}
