//go:build ignore

// It puts the values one behind the other, with separators. A client can write these
// separators into a value, and so make a request whose key is that of another: it gets
// what was not meant for it, or plants its own answer there.
//
//workshop:caught-by TestKey/cannot_be_forged_by_a_value
//workshop:says keep values apart
package storable

import (
	"net/http"
	"strings"
)

func Key(vary http.Header, r *http.Request) string {
	names, _ := varies(vary)
	var key strings.Builder
	for _, name := range names {
		lines := r.Header.Values(name)
		if name == "Host" {
			lines = []string{r.Host}
		}
		if len(lines) > 0 {
			key.WriteString(name + "=" + normal(name, lines) + ";")
		}
	}
	return key.String()
}
