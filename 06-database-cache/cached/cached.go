// Package cached puts memcached beside the menu and the orders, by what this
// chapter's exercises have made:
//
//	Menu ───► stampede ─► cacheaside ─► invalidate ─┐
//	Views ──────────────► cacheaside ─► invalidate ─┼─► kv.Spread ─► degrade ─► a server
//	Create, Update ──────────────────── invalidate ─┘            └─► degrade ─► another
//
// cacheaside finds, loads and keeps. invalidate sees to it that nothing old is kept.
// stampede makes one query of all that miss the menu at once; an order is read by one
// customer, and needs none of that. degrade walks past a server that is down.
//
// # What may be old, and what may not
//
// What is shown may be a moment old, and what decides may not. So there are two views
// of the orders. Views is for showing: its Get asks the cache first. Orders is for the
// order service: its Get asks the database, always. Who is told "there is no such
// order" there pays a customer back, and must not hear it from a cache that has missed
// a delete. Whatever changes goes through Create and Update, of either, which take out
// of the cache what they have changed, when it is committed.
//
// Of the stock, Reserve decides, and goes to the database; what is left is shown, and a
// second old (Stock). The menu is cached, and prices are taken from it: the customer
// pays what the menu has said within Config.MenuTTL. List is not cached, since each
// change of any order would change some page of it.
//
// When it fails, it is old for as long as a TTL: package invalidate says how. Values
// are JSON, so text must be UTF-8, as in PostgreSQL.
package cached

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/solution/cacheaside"
	"clicktocode.example/06-database-cache/solution/degrade"
	"clicktocode.example/06-database-cache/solution/invalidate"
	"clicktocode.example/06-database-cache/solution/stampede"
)

// What is cached, for Config.Hit and Config.Miss.
const (
	TheMenu  = "menu"
	AnOrder  = "order"
	maxValue = 256 << 10 // a menu of a thousand dishes; an order has 50 lines at most
)

// Config is how a Cache behaves. The zero value is fine. Its functions may be called
// by many goroutines at once, and must return soon.
type Config struct {
	MenuTTL   time.Duration // how old the menu is at most; 0 means 30 s
	OrderTTL  time.Duration // how old an order is at most, if a delete was lost; 0 means 30 s
	AbsentTTL time.Duration // likewise, for "there is no such order"; 0 means 2 s
	MaxValue  int           // larger values are not kept, in octets; 0 means 256 KiB

	Degrade  degrade.Config  // of each server
	Stampede stampede.Config // of the menu

	// Hit, unless nil, is told of each read that was answered without the database, as
	// TheMenu or AnOrder, and Miss of each query to it. For the menu, there are fewer
	// misses than reads that missed.
	Hit, Miss func(what string)
	// Fault, unless nil, is told of each call of a server that failed (kv.Fault), as
	// in "get". Calls that are not made since a server is down are none.
	Fault func(call string, err error)
	// Lost, unless nil, is told of each delete that was lost: for the rest of its TTL,
	// what is under key may be old.
	Lost func(key string, err error)
	// Trace, unless nil, returns what is called in cache's place for a request, whose
	// context is ctx: kv.Cache has no contexts, and a span needs its parent's.
	Trace func(ctx context.Context, cache kv.Cache) kv.Cache
}

// Cache is a menu and orders with a cache beside them. It may be used by many
// goroutines at once. Make it with New or Open; whoever does so calls Close.
type Cache struct {
	config  Config
	menu    order.Menu
	orders  order.Orders
	servers []*degrade.Cache
	clients []*memcache.Client // of Open

	cache  kv.Cache // all servers
	fresh  *invalidate.Cache
	dishes *cacheaside.Aside[[]order.Dish]
	one    *cacheaside.Aside[order.Order]
	group  *stampede.Group[[]order.Dish]
	last   atomic.Pointer[read]
}

// read is a menu as it was kept, and what it says, which nobody changes.
type read struct {
	item   *memcache.Item
	dishes []order.Dish
}

// read returns the menu in item, and whether it is one. For half a minute, it is the same
// octets each time: to decode them anew would be a sixth of all that a replica does for a
// menu.
func (c *Cache) read(item *memcache.Item) ([]order.Dish, bool) {
	if last := c.last.Load(); last != nil && last.item.Flags == item.Flags && bytes.Equal(last.item.Value, item.Value) {
		return last.dishes, true
	}
	dishes, _, err := c.dishes.Peek(held{item}, item.Key)
	if err != nil {
		return nil, false
	}
	c.last.Store(&read{item, dishes})
	return dishes, true
}

// held is a kv.Store that has one item.
type held struct{ item *memcache.Item }

func (h held) Get(string) (*memcache.Item, error) { return h.item, nil }
func (h held) Set(*memcache.Item) error           { return memcache.ErrNotStored }

// Open is New for the memcached servers at these addresses, whose clients Close
// closes. It connects to none before it is used. All replicas must have the same
// list, in the same order.
func Open(servers []string, client kv.Config, menu order.Menu, orders order.Orders, c Config) (*Cache, error) {
	var faults []error
	var clients []*memcache.Client
	var caches []kv.Cache
	for _, server := range servers {
		opened, err := kv.New(server, client)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		clients, caches = append(clients, opened), append(caches, opened)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	cache, err := New(caches, menu, orders, c)
	if err != nil {
		return nil, err
	}
	cache.clients = clients
	return cache, nil
}

// New returns a Cache beside menu and orders. Each of servers is one server; there
// must be one at least. err names all faults at once.
func New(servers []kv.Cache, menu order.Menu, orders order.Orders, c Config) (*Cache, error) {
	var faults []error
	if len(servers) == 0 {
		faults = append(faults, errors.New("cached: there is no server"))
	}
	c.MenuTTL, c.OrderTTL = cmp.Or(c.MenuTTL, 30*time.Second), cmp.Or(c.OrderTTL, 30*time.Second)
	c.AbsentTTL, c.MaxValue = cmp.Or(c.AbsentTTL, 2*time.Second), cmp.Or(c.MaxValue, maxValue)
	cache := &Cache{config: c, menu: menu, orders: orders}
	var spread []kv.Cache
	for _, server := range servers {
		one, err := degrade.New(told{server, c.Fault}, c.Degrade)
		if err != nil {
			faults = append(faults, fmt.Errorf("cached: %w", err))
			break // the others have the same
		}
		cache.servers, spread = append(cache.servers, one), append(spread, one)
	}
	var err error
	if cache.dishes, err = cacheaside.New[[]order.Dish](cacheaside.Config{TTL: c.MenuTTL, MaxValue: c.MaxValue}); err != nil {
		faults = append(faults, fmt.Errorf("cached: menu: %w", err))
	}
	if cache.one, err = cacheaside.New[order.Order](cacheaside.Config{TTL: c.OrderTTL, AbsentTTL: c.AbsentTTL, MaxValue: c.MaxValue}); err != nil {
		faults = append(faults, fmt.Errorf("cached: order: %w", err))
	}
	if len(faults) == 0 {
		cache.cache = kv.Spread(spread...)
		if cache.fresh, err = invalidate.New(cache.cache, cache.loss()); err != nil {
			faults = append(faults, fmt.Errorf("cached: %w", err))
		}
		if cache.group, err = stampede.New[[]order.Dish](cache.cache, c.Stampede); err != nil {
			faults = append(faults, fmt.Errorf("cached: %w", err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return cache, nil
}

// Close ends what is under way, waits for it, and closes what Open has opened. The
// menu and the orders are the caller's.
func (c *Cache) Close() error {
	c.group.Close()
	var faults []error
	for _, client := range c.clients {
		if err := client.Close(); err != nil {
			faults = append(faults, fmt.Errorf("cached: %w", err))
		}
	}
	return errors.Join(faults...)
}

// Down is how many servers are down, and all how many there are.
func (c *Cache) Down() (down, all int) {
	for _, server := range c.servers {
		if server.Down() {
			down++
		}
	}
	return down, len(c.servers)
}

// Menu is the menu by the cache. ForgetMenu is for whoever changes it.
func (c *Cache) Menu() order.Menu { return cachedMenu{c} }

// ForgetMenu takes the menu out of the cache, after a change of it was committed. A
// read that is under way may return the old one still; none that begins when that has
// ended does.
func (c *Cache) ForgetMenu() { c.fresh.Forget(menuKey()) }

// Orders are the orders for who decides by them. Get asks the database.
func (c *Cache) Orders() order.Orders { return exact{c, c.orders} }

// Views are the orders for who shows them. Get asks the cache first.
func (c *Cache) Views() order.Orders { return view{exact{c, c.orders}} }

// Show returns service, with a Get that shows an order as Views has it. All else is
// the service's own, which is to have Orders among its ports.
func (c *Cache) Show(service controller.Service) controller.Service {
	return shown{service, c.Views()}
}

func menuKey() string           { return kv.Key("menu") }
func orderKey(id string) string { return kv.Key("order", id) }

func (c *Cache) loss() invalidate.Config { return invalidate.Config{Lost: c.config.Lost} }

// in returns the cache as it is called for a request, by itself and with what keeps
// nothing old.
func (c *Cache) in(ctx context.Context) (kv.Cache, *invalidate.Cache) {
	if c.config.Trace == nil {
		return c.cache, c.fresh
	}
	cache := c.config.Trace(ctx, c.cache)
	fresh, err := invalidate.New(cache, c.loss())
	if err != nil {
		return c.cache, c.fresh // not with the Config that New has taken
	}
	return cache, fresh
}

func (c *Cache) hit(what string) {
	if c.config.Hit != nil {
		c.config.Hit(what)
	}
}

func (c *Cache) miss(what string) {
	if c.config.Miss != nil {
		c.config.Miss(what)
	}
}

type cachedMenu struct{ c *Cache }

// Dishes implements order.Menu.
func (m cachedMenu) Dishes(ctx context.Context) ([]order.Dish, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cached: menu: %w: %w", order.ErrUnavailable, err)
	}
	var loaded atomic.Bool
	peek := func() ([]order.Dish, bool) {
		cache, _ := m.c.in(ctx)
		item, err := cache.Get(menuKey())
		if err != nil {
			return nil, false
		}
		return m.c.read(item)
	}
	load := func(ctx context.Context) ([]order.Dish, bool, error) {
		loaded.Store(true)
		m.c.miss(TheMenu)
		dishes, err := m.c.menu.Dishes(ctx)
		return dishes, err == nil, err
	}
	dishes, err := m.c.group.Do(ctx, menuKey(), peek, func(ctx context.Context) ([]order.Dish, error) {
		_, fresh := m.c.in(ctx)
		dishes, _, err := m.c.dishes.Get(ctx, fresh.Reader(), menuKey(), load)
		return dishes, err
	})
	if err != nil {
		return nil, fmt.Errorf("cached: menu: %w: %w", order.ErrUnavailable, err)
	}
	if !loaded.Load() {
		m.c.hit(TheMenu)
	}
	return slices.Clone(dishes), nil // the others have the same slice
}

// exact is the orders themselves, whose changes take out of the cache what they have
// changed.
type exact struct {
	c *Cache
	order.Orders
}

// Create implements order.Orders. That there was no such order may be in the cache.
func (e exact) Create(ctx context.Context, o order.Order) error {
	_, fresh := e.c.in(ctx)
	return fresh.Write(orderKey(o.ID), func() error { return e.Orders.Create(ctx, o) })
}

// Update implements order.Orders. After an order.ErrConflict, too, the cache forgets
// the order: perhaps the caller has the old version from there.
func (e exact) Update(ctx context.Context, o order.Order) (kept order.Order, err error) {
	_, fresh := e.c.in(ctx)
	err = fresh.Write(orderKey(o.ID), func() (err error) {
		kept, err = e.Orders.Update(ctx, o)
		return err
	})
	return kept, err
}

// view is exact, but for Get.
type view struct{ exact }

// Get implements order.Orders.
func (v view) Get(ctx context.Context, id string) (order.Order, error) {
	if err := ctx.Err(); err != nil {
		return order.Order{}, fmt.Errorf("cached: order %q: %w: %w", id, order.ErrUnavailable, err)
	}
	loaded := false
	_, fresh := v.c.in(ctx)
	o, found, err := v.c.one.Get(ctx, fresh.Reader(), orderKey(id), func(ctx context.Context) (order.Order, bool, error) {
		loaded = true
		v.c.miss(AnOrder)
		o, err := v.Orders.Get(ctx, id)
		if errors.Is(err, order.ErrNotFound) {
			return order.Order{}, false, nil
		}
		return o, err == nil, err
	})
	if err != nil {
		return order.Order{}, err
	}
	if !loaded {
		v.c.hit(AnOrder)
	}
	if !found {
		return order.Order{}, fmt.Errorf("cached: order %q: %w", id, order.ErrNotFound)
	}
	return o, nil
}

// shown is a service whose orders are shown as views has them.
type shown struct {
	controller.Service
	views order.Orders
}

// Get implements controller.Service.
func (s shown) Get(ctx context.Context, customer, id string) (order.Order, error) {
	o, err := s.views.Get(ctx, id)
	if err == nil && customer != "" && o.Customer != customer {
		err = fmt.Errorf("cached: order %q: %w", id, order.ErrNotFound) // and no other words than for one that is not there
	}
	if err != nil {
		return order.Order{}, err
	}
	return o, nil
}

// told is a server whose faults are told of.
type told struct {
	kv.Cache
	fault func(call string, err error)
}

func (t told) tell(call string, err error) error {
	if t.fault != nil && kv.Fault(err) {
		t.fault(call, err)
	}
	return err
}

func (t told) Get(key string) (*memcache.Item, error) {
	item, err := t.Cache.Get(key)
	return item, t.tell("get", err)
}
func (t told) Set(item *memcache.Item) error { return t.tell("set", t.Cache.Set(item)) }
func (t told) Add(item *memcache.Item) error { return t.tell("add", t.Cache.Add(item)) }
func (t told) CompareAndSwap(item *memcache.Item) error {
	return t.tell("cas", t.Cache.CompareAndSwap(item))
}
func (t told) Delete(key string) error { return t.tell("delete", t.Cache.Delete(key)) }
