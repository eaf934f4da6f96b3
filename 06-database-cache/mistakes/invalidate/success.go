//go:build ignore

// It deletes only if commit returned no error. But an error may mean that the
// answer was lost on its way, and that the change is in the database all the same.
//
//workshop:caught-by TestWrite/deletes_also_when_the_outcome_is_unknown
//workshop:says an error does not say that nothing was changed
package invalidate

func (c *Cache) Write(key string, commit func() error) error {
	if err := commit(); err != nil {
		return err
	}
	c.Forget(key)
	return nil
}
