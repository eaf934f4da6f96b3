//go:build ignore

// It copies everything, and then deletes from dst what must not go on. That
// takes away what the proxy itself has set: a client need only name it in its
// Connection, and nobody learns who it is.
//
//workshop:caught-by TestOwn/survives_that_Connection_names_it
//workshop:says Connection takes away what src holds, and nothing else
package hopbyhop

import (
	"net/http"
	"slices"
	"strings"
)

func Copy(dst, src http.Header) {
	for name, values := range src {
		if _, own := dst[name]; !own {
			dst[name] = slices.Clone(values)
		}
	}
	for _, line := range src["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			dst.Del(strings.TrimSpace(option))
		}
	}
	for name := range dst {
		if perHop(name) {
			dst.Del(name)
		}
	}
}
