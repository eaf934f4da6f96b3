// Package invalidate keeps what was changed out of the cache: whoever writes
// deletes, and whoever reads keeps nothing that a writer has deleted meanwhile.
//
// An order is in the cache as it was a moment ago. Then it is cancelled. If the
// cache still says "paid" when the customer looks, the customer rings up, and if the
// kitchen looks, it cooks. So the writer deletes what the cache has, once the
// database has the new. That leaves one who is slow: a reader who has read the old
// before the change, and comes to put it into the cache after the delete. In the
// story: who throws out the old milk must see to it that nobody is on the stairs
// with a bottle of the same.
//
//	reader   get: miss ─ add ─ get: ticket 7 ─ load: old ───────────────── cas 7: refused
//	writer                                                commit ─ delete
//
// A placeholder is put where the value shall be, and its CAS ID is the reader's
// ticket. A delete takes the placeholder out, and with it goes the ticket.
//
// # Why nothing old stays
//
// The reader knows its ticket before it loads. Suppose that it has loaded the old
// value, and that its CompareAndSwap succeeds. It loaded before the commit, so it had
// its ticket before the commit, and the delete comes after the commit. Was the delete
// done before the CompareAndSwap? Then it took out what the ticket stands for, and
// the ticket was refused: CAS IDs are given once. So the delete is still to come, and
// takes out what was kept. Hence, once Write has returned, what it has changed is
// nowhere in the cache; and a moment before, it may be.
//
// # What remains
//
// All of these leave an old value behind for as long as its TTL, and no longer:
//
//   - The delete is lost: memcached cannot be reached, or this process dies between
//     commit and delete. Config.Lost tells of the former.
//   - The outcome of the commit is unknown, and the database does it after the
//     delete, as when the connection broke during COMMIT.
//   - load does not see what was committed before it began: it asks a replica of the
//     database that lags, or in a transaction that began earlier.
//   - memcached has restarted since the ticket was given, and gives the same ID anew,
//     for the same key.
//   - Keys move from one server to another and back, while one of them is down: see
//     kv.Spread, which does not.
//
// So what is kept this way has a short TTL even so. And a writer that must know the
// truth asks the database: here, Orders.Update compares the Version there.
//
// When not to use it: for what nobody changes, or where a TTL's age does no harm.
// Then a plain cache-aside costs two calls less a miss.
//
// Source: R. Nishtala and others, "Scaling Memcache at Facebook" (NSDI 2013) §3.2.1,
// "Leases"; memcached's doc/protocol.txt, "cas".
package invalidate

import (
	"errors"
	"fmt"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"clicktocode.example/06-database-cache/kv"
	"clicktocode.example/06-database-cache/solution/cacheaside"
)

// Placeholder is the flags of a placeholder: an item that stands where a value shall
// be, and is none. Its Value says nothing.
const Placeholder uint32 = 99

// Config is how a Cache behaves. The zero value is fine.
type Config struct {
	// Loading is how long a placeholder stands, and so how long a reader may take
	// from Get to Set. Who takes longer keeps nothing. 0 means 10 s; it must not be
	// negative.
	Loading time.Duration
	// Lost, unless nil, is told of each delete that failed, by the goroutine that
	// tried. What is under the key may be old, for as long as its TTL.
	Lost func(key string, err error)
}

// Cache is a kv.Cache with the manners of this package. All who read or write what
// is under a key must have them. It may be used by many goroutines at once. Make it
// with New.
type Cache struct {
	cache  kv.Cache
	config Config // without zeros
}

// New returns a Cache.
func New(cache kv.Cache, c Config) (*Cache, error) {
	if c.Loading < 0 {
		return nil, fmt.Errorf("invalidate: Loading is %s, must not be negative", c.Loading)
	}
	if c.Loading == 0 {
		c.Loading = 10 * time.Second
	}
	return &Cache{cache, c}, nil
}

// Write calls commit, which changes in the database what key stands for. After that
// it takes out what the cache has, by Forget, and returns the error of commit as it
// is.
//
// It does so whatever commit returned: an error may mean that the answer was lost
// and the change was made, or that somebody else has made one. To take out what was
// still good costs one load. That the delete has failed is no error of the writer's:
// the change is made.
func (c *Cache) Write(key string, commit func() error) error {
	// TODO(invalidate): Two lines.
	return nil
}

// Forget takes out what is under key, a placeholder too. If that fails, it tries once
// more, as the fault may have been an old connection's, and then tells Config.Lost.
func (c *Cache) Forget(key string) {
	var err error
	for range 2 {
		if err = c.cache.Delete(key); !kv.Fault(err) {
			return
		}
		if errors.Is(err, kv.ErrDown) {
			break
		}
	}
	if c.config.Lost != nil {
		c.config.Lost(key, fmt.Errorf("invalidate: delete %s: %w", key, err))
	}
}

// Reader returns a kv.Store for one read: one Get, a load, and one Set, of one key.
func (c *Cache) Reader() *Reader {
	return &Reader{cache: c.cache, loading: cacheaside.Expiration(c.config.Loading, 0, 0)}
}

// Reader is a kv.Store for one read. It must not be used by two goroutines at once.
// Make it with Cache.Reader.
type Reader struct {
	cache   kv.Cache
	loading int32 // the Expiration of a placeholder

	seen *memcache.Item // what Get has found, whose CAS ID is the ticket; nil if there is none
}

// Get returns the item under key. If there is none, or a placeholder, it returns
// memcache.ErrCacheMiss; a load may begin now, and Set can keep what it says.
//
//   - An item, of whatever flags but Placeholder, is returned as it is.
//   - If there is nothing, Get adds a placeholder, whose Expiration is r.loading. What
//     stands there then, it gets: Add tells no CAS ID, and somebody else may have been
//     quicker, with a placeholder, which is as good as one's own, or with a value,
//     which is returned.
//   - If nothing stands there even so, it is a miss, and Set will keep nothing.
//   - A fault of the cache is returned as it is, and Set will keep nothing.
func (r *Reader) Get(key string) (*memcache.Item, error) {
	// TODO(invalidate): Get. After a miss, add a placeholder, and get again, if it was added or if
	// something is there (memcache.ErrNotStored). Remember in r.seen what you got: all
	// of it, a broken value is to be replaced, too. A placeholder is a miss.
	return nil, nil
}

// Set keeps item if what stands under its key is still what Get has found there, and
// otherwise nothing: it was deleted or changed meanwhile, so what was loaded may be
// old. Then it returns memcache.ErrCASConflict or memcache.ErrCacheMiss, and if Get
// has found nothing, memcache.ErrNotStored, without asking the cache. It does not
// change item.
func (r *Reader) Set(item *memcache.Item) error {
	// TODO(invalidate): A copy of item, with the CAS ID of what Get has found, by CompareAndSwap.
	return nil
}
