// Package kvtest has a kv.Cache in memory for tests, in which time can be
// testing/synctest's and each call can be watched, held up or made to fail. And it
// has the suite that says what it takes to be a kv.Cache.
package kvtest

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/kv"
)

// Call is a call of a cache's.
type Call struct {
	Op   string // "get", "set", "add", "cas" or "delete"
	Key  string
	Item *memcache.Item // what is to be kept; nil for get and delete. It must not be changed
}

// String is as in "set v1:menu".
func (c Call) String() string { return c.Op + " " + c.Key }

// Memory is a kv.Cache in memory. Its clock is time.Now, in whole seconds, as
// memcached's. The zero value is empty and ready. To keep a nil item panics, as with a
// memcache.Client: an error might be ignored, and the test would pass.
type Memory struct {
	mu     sync.Mutex // guards what follows; not held while hooks run
	items  map[string]entry
	last   uint64 // CAS ID
	calls  []Call
	before func(Call) error
	closed bool
}

type entry struct {
	item  memcache.Item
	until int64 // in seconds since 1970; 0 means for ever
}

var _ kv.Cache = (*Memory)(nil)

// Before has hook called with each call, before it is done. If hook returns an
// error, the call is not done, and returns that. nil takes the hook away.
func (m *Memory) Before(hook func(Call) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = hook
}

// Calls are the calls so far, in the order in which they began.
func (m *Memory) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// Forget takes all items out, as a restart does.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items = nil
}

// Peek is what is under key, or nil. It is no call.
func (m *Memory) Peek(key string) *memcache.Item {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.findLocked(key); ok {
		return &e.item
	}
	return nil
}

// Close ends each goroutine that makes another call (runtime.Goexit), so that none
// outlives a test.
func (m *Memory) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

// begin notes a call.
func (m *Memory) begin(op, key string, item *memcache.Item) error {
	call := Call{Op: op, Key: key}
	if item != nil {
		c := *item
		c.Value = bytes.Clone(item.Value)
		call.Item = &c
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		runtime.Goexit()
	}
	m.calls = append(m.calls, call)
	hook := m.before
	m.mu.Unlock()
	if !legal(key) {
		return memcache.ErrMalformedKey
	}
	if hook != nil {
		return hook(call)
	}
	return nil
}

// some panics unless there is an item, and says which call had none.
func some(call string, item *memcache.Item) {
	if item == nil {
		panic(call + " was called with a nil item: where there is none to keep, do not call it")
	}
}

func legal(key string) bool {
	return len(key) <= 250 && !slices.ContainsFunc([]byte(key), func(c byte) bool { return c <= ' ' || c == 0x7f })
}

func (m *Memory) findLocked(key string) (entry, bool) {
	e, ok := m.items[key]
	if !ok || e.until != 0 && time.Now().Unix() >= e.until {
		return entry{}, false
	}
	e.item.Value = bytes.Clone(e.item.Value)
	return e, true
}

// keepLocked keeps item under a new CAS ID.
func (m *Memory) keepLocked(item *memcache.Item) error {
	if len(item.Value) > kv.MaxValue {
		return fmt.Errorf("kvtest: set %s: %w: object too large for cache", item.Key, memcache.ErrServerError)
	}
	e := entry{item: *item}
	e.item.Value = bytes.Clone(item.Value)
	m.last++
	e.item.CasID = m.last
	e.item.Expiration = 0 // no server tells
	switch now, ttl := time.Now().Unix(), int64(item.Expiration); {
	case ttl < 0:
		e.until = now
	case ttl > 30*24*60*60:
		e.until = ttl
	case ttl > 0:
		e.until = now + ttl
	}
	if m.items == nil {
		m.items = map[string]entry{}
	}
	m.items[item.Key] = e
	return nil
}

// Get implements kv.Cache.
func (m *Memory) Get(key string) (*memcache.Item, error) {
	if err := m.begin("get", key, nil); err != nil {
		return nil, err
	}
	if item := m.Peek(key); item != nil {
		return item, nil
	}
	return nil, memcache.ErrCacheMiss
}

// Set implements kv.Cache.
func (m *Memory) Set(item *memcache.Item) error {
	some("Set", item)
	if err := m.begin("set", item.Key, item); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keepLocked(item)
}

// Add implements kv.Cache.
func (m *Memory) Add(item *memcache.Item) error {
	some("Add", item)
	if err := m.begin("add", item.Key, item); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.findLocked(item.Key); there {
		return memcache.ErrNotStored
	}
	return m.keepLocked(item)
}

// CompareAndSwap implements kv.Cache.
func (m *Memory) CompareAndSwap(item *memcache.Item) error {
	some("CompareAndSwap", item)
	if err := m.begin("cas", item.Key, item); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e, there := m.findLocked(item.Key); {
	case !there:
		return memcache.ErrCacheMiss
	case e.item.CasID != item.CasID:
		return memcache.ErrCASConflict
	}
	return m.keepLocked(item)
}

// Delete implements kv.Cache.
func (m *Memory) Delete(key string) error {
	if err := m.begin("delete", key, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.findLocked(key)
	delete(m.items, key)
	if !there {
		return memcache.ErrCacheMiss
	}
	return nil
}
