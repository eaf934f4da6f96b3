//go:build ignore

// It deletes, and then commits. A reader who comes between finds nothing in the
// cache and the old value in the database, and puts that into the cache. After the
// commit nobody deletes it, so it stays until its TTL is over.
//
//workshop:caught-by TestWrite/deletes_after_the_commit
//workshop:says Between a delete and a commit that comes after it
package invalidate

func (c *Cache) Write(key string, commit func() error) error {
	c.Forget(key)
	return commit()
}
