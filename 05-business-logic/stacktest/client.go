package stacktest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/resolver"
	"clicktocode.example/05-business-logic/order"
)

// Door is how clients come to a stack. It may be used by many goroutines at once.
type Door struct {
	TLS *tls.Config // which trusts the stack's authority

	site  string
	names *resolver.Resolver // shop.test's DNS server, and no other
}

// NewDoor returns the door of a stack that runs: its DNS server is at dns, its balancer
// at addr, and what it is told to keep in dir. It is closed when t ends.
func NewDoor(t testing.TB, dns, addr, dir string) *Door {
	t.Helper()
	roots, err := authority.Pool(dir)
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	names, err := resolver.New(resolver.Config{Servers: []netip.AddrPort{netip.MustParseAddrPort(dns)}})
	require.NoError(t, err)
	t.Cleanup(names.Close)
	return &Door{TLS: &tls.Config{RootCAs: roots}, site: "https://shop.test:" + port, names: names}
}

// Client asks, over connections of its own. Its methods may be called by many goroutines
// at once.
type Client struct {
	Token string // that it shows, unless it is empty

	site string
	web  *http.Client
}

// Client returns the n-th one: where there are several addresses, it has its own. Call
// its Leave in the end.
func (d *Door) Client(n int) *Client {
	return &Client{site: d.site, web: &http.Client{Timeout: Patience, Transport: &http.Transport{
		TLSClientConfig: d.TLS.Clone(), ForceAttemptHTTP2: true, TLSHandshakeTimeout: Patience,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			ips, err := d.names.Lookup(ctx, host)
			if err != nil {
				return nil, err
			}
			dialer := net.Dialer{Timeout: Patience}
			if runtime.GOOS == "linux" { // which has all of 127.0.0.0/8
				dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort(ips[0].String(), port))
		},
	}}}
}

// Leave closes the connections.
func (c *Client) Leave() { c.web.CloseIdleConnections() }

// Ask sends a request, and reads the whole answer. The body is sent as JSON, unless it
// is nil; header are names and values in turn.
func (c *Client) Ask(method, path string, body any, header ...string) (status int, text []byte, err error) {
	var sent io.Reader
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, c.site+path, sent)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
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

// Get asks for what is JSON, and puts it into into. An answer that is not 200 is an
// error, as in "GET /orders/1: status 404: …".
func (c *Client) Get(path string, into any) error {
	status, text, err := c.Ask(http.MethodGet, path, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %.300s", status, text)
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// Place sends an order, once. An empty method is the one of who names none.
func (c *Client) Place(key string, item order.Item, method string) (status int, text []byte, err error) {
	return c.Ask(http.MethodPost, "/orders", struct {
		Lines  []order.Item `json:"lines"`
		Method string       `json:"payment_method,omitempty"`
	}{[]order.Item{item}, method}, "Idempotency-Key", key)
}
