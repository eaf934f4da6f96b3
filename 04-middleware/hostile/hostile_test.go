package hostile_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/hostile"
)

var config = hostile.Config{Seed: 4, Token: "aaaa.bbbb.cccc", Other: "dddd.eeee.ffff", Path: "/orders", MaxBody: 1000}

func first(n int, c hostile.Config) (all []hostile.Request) {
	for r := range hostile.Requests(c) {
		if all = append(all, r); len(all) == n {
			break
		}
	}
	return all
}

func TestRequests(t *testing.T) {
	t.Run("the_same_for_a_seed", func(t *testing.T) {
		a, b := first(300, config), first(300, config)
		for i := range a {
			assert.Equal(t, a[i].Kind, b[i].Kind)
			assert.Equal(t, a[i].Body, b[i].Body)
		}
		other := config
		other.Seed = 5
		assert.NotEqual(t, a[0], first(1, other)[0])
	})

	t.Run("well_formed_http_of_many_kinds", func(t *testing.T) {
		kinds := map[string]int{}
		for _, r := range first(5000, config) {
			kinds[r.Kind]++
			require.True(t, strings.HasPrefix(r.Target, "/") && !strings.ContainsAny(r.Target, " \r\n\t"), "%s: target %q", r.Kind, r.Target)
			for _, f := range r.Header {
				for _, b := range []byte(f.Value) {
					require.True(t, b == '\t' || b >= ' ' && b != 0x7f, "%s: %s holds %q", r.Kind, f.Name, b)
				}
			}
			if r.Kind == "body: mutated" || r.Kind == "body: truncated" {
				require.False(t, json.Valid(r.Body), "%s: %q", r.Kind, r.Body)
			}
		}
		assert.Len(t, kinds, 16+16+9+1, "%v", kinds)
	})
}

func TestClient(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		if r.Header.Get("Leave") != "" {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprintf(w, "%s %s %d %q %s", r.Method, r.RequestURI, r.ContentLength, r.Header["A"], body)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := &hostile.Client{Addr: s.Listener.Addr().String()}
	defer c.Close()
	long := strings.Repeat("rice", 3000)
	for _, row := range []struct {
		sent  hostile.Request
		told  string
		conns int32
	}{
		{hostile.Request{Method: "GET", Target: "/a%00?b=1", Header: []hostile.Field{{"A", "1"}, {"A", "2"}}}, `GET /a%00?b=1 0 ["1" "2"] `, 1},
		{hostile.Request{Method: "POST", Target: "/", Body: []byte(long)}, `POST / 12000 [] ` + long, 1},
		{hostile.Request{Method: "POST", Target: "/", Body: []byte(long), Chunked: true}, `POST / -1 [] ` + long, 1},
		{hostile.Request{Method: "POST", Target: "/", Body: []byte{}, Header: []hostile.Field{{"Leave", "1"}}}, `POST / 0 [] `, 1},
		{hostile.Request{Method: "PUT", Target: "/"}, `PUT / 0 [] `, 2},
	} {
		_, told, err := c.Send(row.sent)
		require.NoError(t, err)
		assert.Equal(t, row.told, string(told))
		assert.Equal(t, row.conns, conns.Load(), "connections after %s", row.told[:10])
	}
}
