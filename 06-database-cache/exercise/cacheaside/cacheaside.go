// Package cacheaside looks into the cache first, and keeps there what it had to
// fetch.
//
// A menu is read ten thousand times for each time that it changes. To ask the
// database for it again and again keeps the database from what only it can do. So
// what it has said is kept beside it, for a while, in memory that is quick to ask
// and cheap to lose. In the story, who needs an onion looks into the fridge first,
// and only then goes down to the pantry, and brings a few more for the fridge.
//
//	             ┌──► hit ─────────────────────────────► value, or "there is none"
//	Get ──► cache├──► miss ──► load ──► keep for a while ──► the same
//	             └──► fault ─► load ──────────────────────► the same
//
// When not to use it: for what decides something, such as how many are left in
// stock. What is in a cache is always of a moment ago. And for what is seldom read
// twice: then each read costs two calls in place of one.
//
// Source: R. Nishtala and others, "Scaling Memcache at Facebook" (NSDI 2013) §2, a
// look-aside cache; memcached's doc/protocol.txt, "Expiration times".
package cacheaside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/kv"
)

// Config says what is kept, and for how long. The zero value is fine.
type Config struct {
	// TTL is how long a value is kept at most, and so how old it is at most. 0 means
	// a minute; it must not be negative.
	TTL time.Duration
	// AbsentTTL is how long it is remembered that there is none. It is shorter, as
	// what is not there is often about to come. 0 means 5 s; it must not be negative.
	AbsentTTL time.Duration
	// Jitter is the share of the TTL by which it is shortened at most, at random. What
	// was loaded in one moment, as after a restart, then does not expire in one moment.
	// 0 means 0.1; it must be at least 0 and below 1.
	Jitter float64
	// MaxValue is how many octets a value has at most, encoded, that is kept. 0 means
	// kv.MaxValue; it must not be negative, nor more.
	MaxValue int
	// Rand returns a number from 0 up to 1, but not 1. nil means math/rand/v2's. It
	// may be called by many goroutines at once.
	Rand func() float64
}

// Aside reads values of type V through a cache, encoded as JSON. It may be used by
// many goroutines at once. Make it with New.
type Aside[V any] struct {
	config Config // without zeros
}

// New returns an Aside. err names all faults of c at once.
func New[V any](c Config) (*Aside[V], error) {
	var faults []error
	if c.TTL < 0 {
		faults = append(faults, fmt.Errorf("cacheaside: TTL is %s, must not be negative", c.TTL))
	}
	if c.AbsentTTL < 0 {
		faults = append(faults, fmt.Errorf("cacheaside: AbsentTTL is %s, must not be negative", c.AbsentTTL))
	}
	if !(c.Jitter >= 0 && c.Jitter < 1) { // NaN included
		faults = append(faults, fmt.Errorf("cacheaside: Jitter is %g, must be at least 0 and below 1", c.Jitter))
	}
	if c.MaxValue < 0 || c.MaxValue > kv.MaxValue {
		faults = append(faults, fmt.Errorf("cacheaside: MaxValue is %d, must be 0 to %d", c.MaxValue, kv.MaxValue))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.TTL == 0 {
		c.TTL = time.Minute
	}
	if c.AbsentTTL == 0 {
		c.AbsentTTL = 5 * time.Second
	}
	if c.Jitter == 0 {
		c.Jitter = 0.1
	}
	if c.MaxValue == 0 {
		c.MaxValue = kv.MaxValue
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return &Aside[V]{c}, nil
}

// Get returns what there is for key: what is kept in store, or else what load says.
// found false means that there is none, which is an answer as good as another.
//
//   - If store has an answer (see Peek), that is it, and load is not called.
//   - Otherwise load is called, with ctx, also for a key that store refuses. What it
//     says is returned, and kept: a value for Config.TTL, and that there is none for
//     Config.AbsentTTL, both shortened at random, each time anew (see Expiration).
//   - If load returns an error, it is returned as it is, and nothing is kept: a
//     failure says nothing about key. v and found mean nothing then.
//   - A fault of store (kv.Fault) is nobody's error: load is called, and nothing is
//     kept, since a server that does not answer would be waited for once more.
//   - If what was loaded cannot be kept, the caller does not hear of it.
//
// It is load that looks at ctx. What it has loaded all the same is returned, and kept
// for who comes next, even if the caller has left meanwhile.
//
// store is a kv.Cache, or for what changes what package invalidate makes of one.
// Of many callers at once, each loads, and none waits for another: see package
// stampede.
func (a *Aside[V]) Get(ctx context.Context, store kv.Store, key string, load func(ctx context.Context) (v V, found bool, err error)) (v V, found bool, err error) {
	// TODO(cacheaside): Peek. Without an answer, load: an error goes back as it is. Unless Peek met a
	// fault, make the item (a.item), and set it, if there is one. The TTL depends on found.
	// The reference imports, besides what stands above: "math".
	return v, false, nil
}

// Peek returns what is kept in store under key, and loads nothing. err is nil if
// there is an answer: a value, or with found false that there is none. It is, or
// wraps, memcache.ErrCacheMiss if there is nothing, or something that decode does
// not understand: perhaps another version of this program has left it there, and a
// miss will replace it. Any other error is store's, as it is. With an error, v is
// zero.
func (a *Aside[V]) Peek(store kv.Store, key string) (v V, found bool, err error) {
	// TODO(cacheaside): Get the item, and decode it: decode[V](item).
	return v, false, nil
}

// longest is the longest time that memcached takes for one from now on: more
// seconds than these are a date.
const longest = 30 * 24 * time.Hour

// Expiration is the TTL of an item in memcached's seconds. It is ttl, but at most 30
// days, and that is shortened by the share jitter of it, times random: both are at
// least 0 and below 1. What is left is rounded up to whole seconds, and is never less
// than 1, also for a ttl of 0, since 0 would mean for ever. ttl must not be negative.
func Expiration(ttl time.Duration, jitter, random float64) int32 {
	// TODO(cacheaside): In this order: bound it, shorten it, round it up (math.Ceil), and mind the 0.
	return 0
}

// Flags of the items, as Peek finds them. An item with others is not Get's.
const (
	Present uint32 = 1 // Value is a value, as JSON
	Absent  uint32 = 2 // there is none, and Value is empty
)

// item is what is kept under key, or nil: a value that is too large, or that has no
// JSON, is not kept.
func (a *Aside[V]) item(key string, v V, found bool, expiration int32) *memcache.Item {
	if !found {
		return &memcache.Item{Key: key, Flags: Absent, Expiration: expiration}
	}
	value, err := json.Marshal(v)
	if err != nil || len(value) > a.config.MaxValue {
		return nil
	}
	return &memcache.Item{Key: key, Value: value, Flags: Present, Expiration: expiration}
}

// decode is what an item says. With an error, v may be anything.
func decode[V any](item *memcache.Item) (v V, found bool, err error) {
	switch item.Flags {
	case Absent:
		return v, false, nil
	case Present:
		if err := json.Unmarshal(item.Value, &v); err != nil {
			return v, false, fmt.Errorf("cacheaside: %s: %w", item.Key, err)
		}
		return v, true, nil
	}
	return v, false, fmt.Errorf("cacheaside: %s: flags are %d", item.Key, item.Flags)
}
