// Package kv is the contract of the cache: what the exercises of this chapter ask
// of memcached, and what its errors mean. In the story it is the fridge, a quick
// place for what was fetched from the pantry a moment ago.
//
// memcached keeps octets under a key, as long as it has room and at most as long as
// it was told to. It promises nothing else: any item may be gone at any moment, and
// after a restart all are. So the truth is in the database, and whatever is in the
// cache can be made again. Each server knows nothing of the others: a client picks
// one by the key (see Spread).
//
// Source: memcached's doc/protocol.txt; R. Nishtala and others, "Scaling Memcache
// at Facebook" (NSDI 2013).
package kv

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Store is what it takes to look something up, and to keep what was not there. It
// may be used by many goroutines at once, unless it says otherwise.
type Store interface {
	// Get returns the item under key, with its CAS ID, or memcache.ErrCacheMiss. The
	// item is the caller's own.
	Get(key string) (*memcache.Item, error)
	// Set keeps item, in the place of what was under its key. Value is at most
	// MaxValue octets. Expiration is in seconds:
	//
	//	       0           for ever
	//	       1…2592000   from now on, that is up to 30 days. The server's clock has
	//	                   whole seconds: 1 is anything up to a second, and 2 is one
	//	                   second at least
	//	       > 2592000   until this time, in seconds since 1970. So 31 days, written
	//	                   as seconds, are over since February 1970
	//	       < 0         it has expired already
	//
	// Set does not keep item, nor change it.
	Set(item *memcache.Item) error
}

// Cache is what *memcache.Client has, as far as this chapter uses it. It may be
// used by many goroutines at once.
//
// No call has a context: each is bounded by the client's timeout (see Config), and
// goes on when the request that wanted it has ended. So a delete that follows a
// commit is made, even if the customer has left meanwhile.
//
// What the errors mean:
//
//	memcache.ErrCacheMiss     there is nothing under this key: an answer, no fault
//	memcache.ErrNotStored     Add: there is something already: an answer, no fault
//	memcache.ErrCASConflict   CompareAndSwap: it was changed since: an answer, no fault
//	memcache.ErrMalformedKey  the key is not one that Key makes: the caller's fault
//	ErrDown                   the server was not even asked: it has failed too often
//	any other                 the server did not answer, or not in time, or with an
//	                          error. Nobody knows whether it did what it was told
//
// They may be wrapped: use errors.Is, or Fault.
type Cache interface {
	Store
	// Add keeps item, as Set does, if there is nothing under its key. Otherwise it
	// returns memcache.ErrNotStored. Of many at once, one succeeds.
	Add(item *memcache.Item) error
	// CompareAndSwap keeps item, as Set does, if what is under its key is still what
	// Get has returned, with this CAS ID. It returns memcache.ErrCASConflict if
	// something else is there, and memcache.ErrCacheMiss if nothing is. An ID is given
	// once: what was deleted and kept again has another one, even if it is the same.
	CompareAndSwap(item *memcache.Item) error
	// Delete takes out what is under key. It returns memcache.ErrCacheMiss if there
	// was nothing, which is as good.
	Delete(key string) error
}

var _ Cache = (*memcache.Client)(nil)

// MaxValue is how many octets a value has at most. A server takes items up to 1 MiB
// (its option -I), its own notes and the key included.
const MaxValue = 1<<20 - 1<<10

// ErrDown is the error of a call that was not made, since the server has not
// answered the ones before. See package degrade.
var ErrDown = errors.New("kv: the cache is down")

// Fault reports whether err says that the cache is not well: it did not answer, or
// not in time, or was not asked. nil is no fault, and neither is an answer, such as
// a miss, nor a malformed key.
func Fault(err error) bool {
	for _, answer := range []error{memcache.ErrCacheMiss, memcache.ErrNotStored, memcache.ErrCASConflict, memcache.ErrMalformedKey} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return err != nil
}

// version stands in front of all keys. Whoever changes what is under them, such as
// the fields of an order, counts it up. While old and new replicas run side by side,
// neither then reads what the other has written.
const version = "v1"

// maxKey is how many octets a key has at most (doc/protocol.txt, "Keys").
const maxKey = 250

// Key returns the key that these parts make: Key("order", "7") is "v1:order:7".
// Other parts make another key, whatever is in them: a part that has control
// characters, spaces, a colon or other octets than ASCII's, or that is long, is
// replaced by its SHA-256. So a customer's input can neither break the protocol, in
// which a line break begins the next command, nor name another one's key.
func Key(parts ...string) string {
	key := version
	for _, part := range parts {
		key += ":" + safe(part)
	}
	if len(key) > maxKey { // many parts
		sum := sha256.Sum256([]byte(key))
		key = version + ":##" + hex.EncodeToString(sum[:])
	}
	return key
}

// safe is part, or "#" and its hash.
func safe(part string) string {
	odd := func(c rune) bool { return c <= ' ' || c > '~' || c == ':' || c == '#' }
	if len(part) > 100 || strings.ContainsFunc(part, odd) {
		sum := sha256.Sum256([]byte(part))
		return "#" + hex.EncodeToString(sum[:])
	}
	return part
}

// Config is how a client behaves. The zero value is fine.
type Config struct {
	// Timeout bounds each dial, and each call. A cache that is slower than the
	// database is of no use. 0 means 100 ms; it must not be negative.
	Timeout time.Duration
	// MaxIdle is how many connections are kept while nobody uses them. With fewer
	// than there are calls at once, each moment of many calls dials anew. 0 means 64;
	// it must not be negative.
	MaxIdle int
}

// New returns a client of the memcached at server, as "127.0.0.1:11211". It does not
// connect before the first call. Whoever makes it closes it.
func New(server string, c Config) (*memcache.Client, error) {
	var faults []error
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("kv: Timeout is %s, must not be negative", c.Timeout))
	}
	if c.MaxIdle < 0 {
		faults = append(faults, fmt.Errorf("kv: MaxIdle is %d, must not be negative", c.MaxIdle))
	}
	var list memcache.ServerList
	if err := list.SetServers(server); err != nil {
		faults = append(faults, fmt.Errorf("kv: server %q: %w", server, err))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.Timeout == 0 {
		c.Timeout = 100 * time.Millisecond
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = 64 // gomemcache's own 2 would dial for every third call at once
	}
	client := memcache.NewFromSelector(&list)
	client.Timeout, client.MaxIdleConns = c.Timeout, c.MaxIdle
	return client, nil
}

// Spread returns a cache that keeps each key in one of caches, the same one each
// time. There must be at least one.
//
// A cache that is down keeps its share of the keys: they are not moved to the
// others. If they were, they would move back when it has returned, to what is old
// there by then. So the database serves this share meanwhile, and the others go on.
func Spread(caches ...Cache) Cache {
	if len(caches) == 1 {
		return caches[0]
	}
	return spread(caches)
}

type spread []Cache

func (s spread) of(key string) Cache {
	return s[crc32.ChecksumIEEE([]byte(key))%uint32(len(s))] // as gomemcache's own ServerList does
}

func (s spread) Get(key string) (*memcache.Item, error)   { return s.of(key).Get(key) }
func (s spread) Set(item *memcache.Item) error            { return s.of(item.Key).Set(item) }
func (s spread) Add(item *memcache.Item) error            { return s.of(item.Key).Add(item) }
func (s spread) CompareAndSwap(item *memcache.Item) error { return s.of(item.Key).CompareAndSwap(item) }
func (s spread) Delete(key string) error                  { return s.of(key).Delete(key) }
