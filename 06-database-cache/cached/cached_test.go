package cached_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/cached"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/kv/kvtest"
	"clicktocode.example/06-database-cache/mctest"
	"clicktocode.example/06-database-cache/solution/degrade"
	"clicktocode.example/06-database-cache/solution/invalidate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("cache: i/o timeout")

// With a cache or without, the menu and the orders are what they were.
func TestSuites(t *testing.T) {
	suites := func(t *testing.T, server func(t *testing.T) kv.Cache) {
		cache := func(t *testing.T, menu order.Menu, orders order.Orders) *cached.Cache {
			return open(t, []kv.Cache{server(t)}, menu, orders, cached.Config{})
		}
		t.Run("menu", func(t *testing.T) {
			ordertest.TestMenu(t, func(t *testing.T, dishes []order.Dish) order.Menu {
				return cache(t, memory.NewMenu(dishes), nil).Menu()
			})
		})
		t.Run("orders", func(t *testing.T) {
			ordertest.TestOrders(t, func(t *testing.T) order.Orders { return cache(t, nil, memory.NewOrders()).Orders() })
		})
		t.Run("views", func(t *testing.T) {
			ordertest.TestOrders(t, func(t *testing.T) order.Orders { return cache(t, nil, memory.NewOrders()).Views() })
		})
	}

	t.Run("in memory", func(t *testing.T) {
		suites(t, func(*testing.T) kv.Cache { return &kvtest.Memory{} })
	})
	t.Run("without a cache", func(t *testing.T) {
		suites(t, func(*testing.T) kv.Cache { return down() })
	})
	mctest.Each(t, func(t *testing.T, c *memcache.Client) {
		suites(t, func(t *testing.T) kv.Cache {
			require.NoError(t, c.FlushAll())
			return c
		})
	})
}

func TestMenu(t *testing.T) {
	t.Run("is_read_once_for_many", func(t *testing.T) {
		s := newScene(t)
		for range 20 {
			assert.Len(t, s.menu(t, 0), 1)
		}
		assert.Equal(t, 1, s.queries(ordertest.Dishes))
		assert.Equal(t, "19 hits, 1 misses", s.counts(cached.TheMenu))
	})

	t.Run("is_read_once_for_many_at_once_on_three_replicas", func(t *testing.T) {
		s := newScene(t)
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() { assert.Len(t, s.menu(t, i%3), 1) })
		}
		all.Wait()
		assert.Equal(t, 1, s.queries(ordertest.Dishes))
		assert.Equal(t, "59 hits, 1 misses", s.counts(cached.TheMenu))
	})

	t.Run("is_read_anew_when_it_is_forgotten", func(t *testing.T) {
		s := newScene(t)
		s.menu(t, 0)
		s.replicas[1].ForgetMenu()
		s.menu(t, 0)
		assert.Equal(t, 2, s.queries(ordertest.Dishes))
	})

	t.Run("fails_for_those_who_wait_and_not_for_ever", func(t *testing.T) {
		s := newScene(t)
		broken := errors.New("database: connection refused")
		s.faults.Before(ordertest.Dishes, func(context.Context) error { return broken })
		_, err := s.replicas[0].Menu().Dishes(t.Context())
		require.ErrorIs(t, err, broken)
		require.ErrorIs(t, err, order.ErrUnavailable)
		s.faults.Before(ordertest.Dishes, nil)
		assert.Len(t, s.menu(t, 0), 1)
	})

	t.Run("is_not_kept_when_it_is_large", func(t *testing.T) {
		m := &kvtest.Memory{}
		c := open(t, []kv.Cache{m}, memory.NewMenu([]order.Dish{{ID: "ramen"}}), nil, cached.Config{MaxValue: 10})
		for range 2 {
			_, err := c.Menu().Dishes(t.Context())
			require.NoError(t, err)
		}
		there := m.Peek(kv.Key("menu"))
		require.NotNil(t, there)
		assert.Equal(t, invalidate.Placeholder, there.Flags, "the menu has more than 10 octets: its place is kept, and it is not")
	})
}

func TestOrders(t *testing.T) {
	t.Run("are_shown_from_the_cache", func(t *testing.T) {
		s := newScene(t)
		s.create(t)
		for i := range 6 {
			assert.Equal(t, order.Paid, s.view(t, i%3).State)
		}
		assert.Equal(t, 1, s.queries(ordertest.Get))
		assert.Equal(t, "5 hits, 1 misses", s.counts(cached.AnOrder))
	})

	t.Run("are_not_taken_from_the_cache_by_who_decides", func(t *testing.T) {
		s := newScene(t)
		s.create(t)
		for range 3 {
			s.view(t, 0)
			_, err := s.replicas[0].Orders().Get(t.Context(), "one")
			require.NoError(t, err)
		}
		assert.Equal(t, 1+3, s.queries(ordertest.Get))
	})

	t.Run("are_fresh_after_a_change_in_another_replica", func(t *testing.T) {
		s := newScene(t)
		o := s.create(t)
		s.view(t, 0)
		o.State = order.Preparing
		_, err := s.replicas[1].Orders().Update(t.Context(), o)
		require.NoError(t, err)
		assert.Equal(t, order.Preparing, s.view(t, 0).State)
	})

	t.Run("are_fresh_after_a_change_whose_answer_was_lost", func(t *testing.T) {
		s := newScene(t)
		o := s.create(t)
		s.view(t, 0)
		s.faults.After(ordertest.Update, func(context.Context) error { return order.ErrUnknown })
		o.State = order.Preparing
		_, err := s.replicas[1].Orders().Update(t.Context(), o)
		require.ErrorIs(t, err, order.ErrUnknown)
		assert.Equal(t, order.Preparing, s.view(t, 0).State)
	})

	t.Run("are_there_when_they_were_created_after_they_were_not", func(t *testing.T) {
		s := newScene(t)
		for range 2 {
			_, err := s.replicas[0].Views().Get(t.Context(), "one")
			require.ErrorIs(t, err, order.ErrNotFound)
		}
		require.Equal(t, 1, s.queries(ordertest.Get), "that there is none is remembered")
		s.create(t)
		assert.Equal(t, "one", s.view(t, 0).ID)
	})

	t.Run("tell_of_a_delete_that_was_lost", func(t *testing.T) {
		m, lost := &kvtest.Memory{}, []string(nil)
		c := open(t, []kv.Cache{m}, nil, memory.NewOrders(), cached.Config{Lost: func(key string, err error) { lost = append(lost, key) }})
		m.Before(func(kvtest.Call) error { return errDown })
		require.NoError(t, c.Orders().Create(t.Context(), sample()))
		assert.Equal(t, []string{kv.Key("order", "one")}, lost)
	})

	t.Run("are_shown_to_their_customer", func(t *testing.T) {
		s := newScene(t)
		s.create(t)
		service := s.replicas[0].Show(nobody{})
		for _, customer := range []string{"ada", ""} {
			o, err := service.Get(t.Context(), customer, "one")
			require.NoError(t, err, "customer %q", customer)
			assert.Equal(t, "one", o.ID)
		}
		_, err := service.Get(t.Context(), "bob", "one")
		require.ErrorIs(t, err, order.ErrNotFound)
		_, err = service.Get(t.Context(), "bob", "two")
		require.ErrorIs(t, err, order.ErrNotFound)
	})
}

// marked notes which calls were made for which request.
type marked struct {
	kv.Cache
	request string
	calls   *[]string
}

func (m marked) note(call string) { *m.calls = append(*m.calls, m.request+": "+call) }

func (m marked) Get(key string) (*memcache.Item, error) { m.note("get"); return m.Cache.Get(key) }
func (m marked) Set(i *memcache.Item) error             { m.note("set"); return m.Cache.Set(i) }
func (m marked) Add(i *memcache.Item) error             { m.note("add"); return m.Cache.Add(i) }
func (m marked) CompareAndSwap(i *memcache.Item) error {
	m.note("cas")
	return m.Cache.CompareAndSwap(i)
}
func (m marked) Delete(key string) error { m.note("delete"); return m.Cache.Delete(key) }

func TestTrace(t *testing.T) {
	var calls []string
	type request struct{}
	c := open(t, []kv.Cache{&kvtest.Memory{}}, memory.NewMenu([]order.Dish{{ID: "ramen"}}), memory.NewOrders(), cached.Config{
		Trace: func(ctx context.Context, cache kv.Cache) kv.Cache {
			return marked{cache, ctx.Value(request{}).(string), &calls}
		},
	})
	of := func(name string) context.Context { return context.WithValue(t.Context(), request{}, name) }
	require.NoError(t, c.Orders().Create(of("1"), sample()))
	_, err := c.Views().Get(of("2"), sample().ID)
	require.NoError(t, err)
	_, err = c.Views().Get(of("3"), sample().ID)
	require.NoError(t, err)
	assert.Equal(t, []string{"1: delete", "2: get", "2: add", "2: get", "2: cas", "3: get"}, calls)
	calls = nil
	for _, name := range []string{"4", "5"} {
		_, err = c.Menu().Dishes(of(name))
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"4: get", "4: get", "4: get", "4: add", "4: get", "4: cas", "5: get"}, calls, "also in the flight that is everybody's")
}

func TestDown(t *testing.T) {
	t.Run("is_asked_no_more", func(t *testing.T) {
		m := &kvtest.Memory{}
		m.Before(func(kvtest.Call) error { return errDown })
		faults := 0
		var mu sync.Mutex
		c := open(t, []kv.Cache{m}, memory.NewMenu(nil), memory.NewOrders(), cached.Config{
			Degrade: degrade.Config{Retry: time.Hour},
			Fault:   func(call string, err error) { mu.Lock(); defer mu.Unlock(); faults++ },
		})
		require.NoError(t, c.Orders().Create(t.Context(), sample()))
		for range 20 {
			_, err := c.Views().Get(t.Context(), "one")
			require.NoError(t, err)
			_, err = c.Menu().Dishes(t.Context())
			require.NoError(t, err)
		}
		assert.Len(t, m.Calls(), 5)
		assert.Equal(t, 5, faults)
		down, all := c.Down()
		assert.Equal(t, 1, down)
		assert.Equal(t, 1, all)
	})

	t.Run("is_down_alone", func(t *testing.T) {
		well := &kvtest.Memory{}
		c := open(t, []kv.Cache{down(), well}, nil, memory.NewOrders(), cached.Config{Degrade: degrade.Config{Retry: time.Hour}})
		for i := range 100 {
			_, err := c.Views().Get(t.Context(), fmt.Sprint(i))
			require.ErrorIs(t, err, order.ErrNotFound)
		}
		n, all := c.Down()
		assert.Equal(t, 1, n, "of two servers")
		assert.Equal(t, 2, all)
		assert.Greater(t, len(well.Calls()), 50)
	})
}

func TestOpen(t *testing.T) {
	t.Run("opens_what_is_there", func(t *testing.T) {
		addr := mctest.Open(t, backing.MemcachedConfig{Embedded: true})
		c, err := cached.Open([]string{addr}, kv.Config{}, memory.NewMenu([]order.Dish{{ID: "ramen"}}), memory.NewOrders(), cached.Config{})
		require.NoError(t, err)
		dishes, err := c.Menu().Dishes(t.Context())
		require.NoError(t, err)
		assert.Len(t, dishes, 1)
		require.NoError(t, c.Close())
	})

	t.Run("tells_all_faults_at_once", func(t *testing.T) {
		_, err := cached.Open([]string{"nowhere", "neither"}, kv.Config{}, nil, nil, cached.Config{})
		require.ErrorContains(t, err, `"nowhere"`)
		require.ErrorContains(t, err, `"neither"`)
		_, err = cached.New(nil, nil, nil, cached.Config{MenuTTL: -1, OrderTTL: -2})
		require.ErrorContains(t, err, "no server")
		require.ErrorContains(t, err, "TTL is -1ns")
		require.ErrorContains(t, err, "TTL is -2ns")
	})
}

// down is a cache that does not answer.
func down() *kvtest.Memory {
	m := &kvtest.Memory{}
	m.Before(func(kvtest.Call) error { return errDown })
	return m
}

func open(t *testing.T, servers []kv.Cache, menu order.Menu, orders order.Orders, c cached.Config) *cached.Cache {
	t.Helper()
	cache, err := cached.New(servers, menu, orders, c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	return cache
}

// scene is three replicas over one cache and one database.
type scene struct {
	replicas []*cached.Cache
	faults   *ordertest.Faults

	mu           sync.Mutex // guards what follows
	hits, misses map[string]int
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{hits: map[string]int{}, misses: map[string]int{}}
	s.faults = ordertest.NewFaults(memory.Ports([]order.Dish{{ID: "ramen"}}, nil))
	m := &kvtest.Memory{}
	count := func(n map[string]int) func(string) {
		return func(what string) { s.mu.Lock(); defer s.mu.Unlock(); n[what]++ }
	}
	for range 3 {
		s.replicas = append(s.replicas, open(t, []kv.Cache{m}, s.faults.Ports().Menu, s.faults.Ports().Orders, cached.Config{Hit: count(s.hits), Miss: count(s.misses)}))
	}
	return s
}

func (s *scene) counts(what string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d hits, %d misses", s.hits[what], s.misses[what])
}

// queries is how many calls of this kind have reached the database.
func (s *scene) queries(step ordertest.Step) (n int) {
	for _, call := range s.faults.Calls() {
		if call == step {
			n++
		}
	}
	return n
}

func (s *scene) menu(t *testing.T, replica int) []order.Dish {
	dishes, err := s.replicas[replica].Menu().Dishes(t.Context())
	assert.NoError(t, err)
	return dishes
}

func (s *scene) view(t *testing.T, replica int) order.Order {
	t.Helper()
	o, err := s.replicas[replica].Views().Get(t.Context(), "one")
	require.NoError(t, err)
	return o
}

func (s *scene) create(t *testing.T) order.Order {
	t.Helper()
	require.NoError(t, s.replicas[2].Orders().Create(t.Context(), sample()))
	return sample()
}

func sample() order.Order {
	at := time.Date(2026, 5, 1, 18, 0, 0, 123456000, time.UTC)
	return order.Order{ID: "one", Customer: "ada", State: order.Paid, Version: 1, Created: at, Updated: at}
}

// nobody is a service of which nothing but Get is asked.
type nobody struct{ controller.Service }
