//go:build ignore

// When a fetch is over it takes out of the map what is under its key. But if all
// had left that fetch, the call there is a newer one, and nobody finds that any more.
//
//workshop:caught-by TestDo/tells_a_call_from_one_that_was_given_up
//workshop:says compare before you delete
package collapse

func (g *Group[V]) removeLocked(key string, c *call[V]) {
	delete(g.calls, key)
}
