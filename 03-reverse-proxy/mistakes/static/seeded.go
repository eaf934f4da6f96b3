//go:build ignore

// It takes the fast hash of hash/maphash. That is made for the maps of one process:
// its seed is drawn when the program starts. So each edge has tags of its own, and
// each restart makes all copies at the customers worthless.
//
//workshop:caught-by TestTag/is_the_same_on_every_edge
//workshop:says an edge that is another process
package static

import (
	"fmt"
	"hash/maphash"
)

var seed = maphash.MakeSeed()

func tag(content []byte) string {
	return fmt.Sprintf(`"%016x"`, maphash.Bytes(seed, content))
}
