package sticky_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/balancer"
	"clicktocode.example/02-load-balancer/sticky"
	"clicktocode.example/02-load-balancer/weighted"
)

func TestSticky(t *testing.T) {
	t.Run("brings_a_customer_back", func(t *testing.T) {
		pool := backends(t, "a", "b", "c")
		server := serve(t, pool, one(t))
		ann, bob := customer(t, server), customer(t, server)
		first, second := ann(), bob()
		assert.NotEqual(t, first, second, "strangers take turns")
		for range 5 {
			assert.Equal(t, first, ann())
			assert.Equal(t, second, bob())
		}
	})

	t.Run("finds_another_one_when_it_is_not_available", func(t *testing.T) {
		pool := backends(t, "a", "b", "c")
		ann := customer(t, serve(t, pool, one(t)))
		require.Equal(t, "a", ann())
		pool[0].SetDown(true)
		second := ann()
		assert.NotEqual(t, "a", second)
		pool[0].SetDown(false)
		assert.Equal(t, second, ann(), "she stays where she went")
	})

	t.Run("is_understood_by_another_balancer_of_the_same_secret", func(t *testing.T) {
		pool := backends(t, "a", "b", "c")
		key := cookie(t, one(t), pool, pool[2]).Value
		for range 3 {
			assert.Equal(t, pool[2], one(t).Pick(pool, key))
		}
	})

	t.Run("believes_nothing_that_it_did_not_write", func(t *testing.T) {
		pool := backends(t, "a", "b", "c")
		s := one(t)
		good := cookie(t, s, pool, pool[2]).Value
		stranger, err := sticky.New(bytes.Repeat([]byte{8}, 32), weighted.New(0))
		require.NoError(t, err)
		for name, key := range map[string]string{
			"none":            "",
			"a name":          "c",
			"an encoded name": base64.RawURLEncoding.EncodeToString([]byte("c")),
			"cut off":         good[:len(good)-4],
			"altered":         altered(good),
			"no base64":       "$$$",
			"another house's": cookie(t, stranger, pool, pool[2]).Value,
		} {
			b := one(t).Pick(pool, key)
			assert.Equal(t, "a", b.Name(), "%s: the first of a weighted round robin", name)
		}
		assert.Equal(t, "c", s.Pick(pool, good).Name())
	})

	t.Run("writes_a_cookie_that_keeps_to_itself", func(t *testing.T) {
		pool := backends(t, "kitchen-7.internal")
		c := cookie(t, one(t), pool, pool[0])
		assert.Equal(t, "__Host-backend", c.Name)
		assert.True(t, c.Secure && c.HttpOnly && c.SameSite == http.SameSiteLaxMode && c.Path == "/" && c.Domain == "", "%v", c)
		assert.Zero(t, c.MaxAge)
		raw, err := base64.RawURLEncoding.DecodeString(c.Value)
		require.NoError(t, err)
		assert.NotContains(t, string(raw), "kitchen")
		assert.NotEqual(t, c.Value, cookie(t, one(t), pool, pool[0]).Value, "nobody can tell whether two customers have the same backend")
	})

	t.Run("writes_it_once", func(t *testing.T) {
		pool := backends(t, "a", "b")
		s := one(t)
		h := http.Header{}
		s.Remember(h, pool, cookie(t, s, pool, pool[0]).Value, pool[0])
		s.Remember(h, pool, "", nil)
		assert.Empty(t, h)
		s.Remember(h, pool, cookie(t, s, pool, pool[0]).Value, pool[1])
		assert.Len(t, h["Set-Cookie"], 1)
	})

	t.Run("returns_nil_when_none_is_available", func(t *testing.T) {
		pool := backends(t, "a")
		key := cookie(t, one(t), pool, pool[0]).Value
		pool[0].SetDraining(true)
		assert.Nil(t, one(t).Pick(pool, key))
		assert.Nil(t, one(t).Pick(nil, key))
	})

	t.Run("refuses_a_short_secret", func(t *testing.T) {
		_, err := sticky.New(make([]byte, 16), weighted.New(0))
		assert.EqualError(t, err, "sticky: the secret has 16 octets, want 32")
	})
}

// altered is key with its first letter changed.
func altered(key string) string {
	if key[0] == 'A' {
		return "B" + key[1:]
	}
	return "A" + key[1:]
}

func BenchmarkPick(b *testing.B) {
	pool := backends(b, "a", "b", "c")
	s := one(b)
	key := cookie(b, s, pool, pool[2]).Value
	b.ReportAllocs()
	for b.Loop() {
		s.Pick(pool, key)
	}
}

// one is a Sticky before turns, with a secret that all of them have.
func one(t testing.TB) *sticky.Sticky {
	s, err := sticky.New(bytes.Repeat([]byte{7}, 32), weighted.New(0))
	require.NoError(t, err)
	return s
}

// cookie is what s writes for b.
func cookie(t testing.TB, s *sticky.Sticky, pool []*balancer.Backend, b *balancer.Backend) *http.Cookie {
	h := http.Header{}
	s.Remember(h, pool, "", b)
	c, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	require.NoError(t, err)
	return c
}

// serve answers with the name of the backend.
func serve(t *testing.T, pool []*balancer.Backend, s *sticky.Sticky) *httptest.Server {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := s.Key(r)
		b := s.Pick(pool, key)
		s.Remember(w.Header(), pool, key, b)
		w.Header().Set("Backend", b.Name())
	}))
	t.Cleanup(server.Close)
	return server
}

// customer makes requests, with a browser's memory for cookies, and returns who served.
func customer(t *testing.T, server *httptest.Server) func() string {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Transport: server.Client().Transport, Jar: jar}
	return func() string {
		t.Helper()
		resp, err := client.Get(server.URL)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.Header.Get("Backend")
	}
}

func backends(t testing.TB, names ...string) (pool []*balancer.Backend) {
	for _, name := range names {
		b, err := balancer.NewBackend(name, "127.0.0.1:80", 1)
		require.NoError(t, err)
		pool = append(pool, b)
	}
	return pool
}
