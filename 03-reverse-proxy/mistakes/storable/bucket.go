//go:build ignore

// It sorts the values of Accept-Encoding into those with gzip and those without, as
// some caches can be told to. But what it finds may be refused, as in "gzip;q=0", and
// the origin may send br to one who takes both: the next one gets what he cannot read.
//
//workshop:caught-by TestKey/compares_values_as_normal_writes_them
//workshop:says the whole value counts
package storable

import (
	"net/http"
	"strconv"
	"strings"
)

func Key(vary http.Header, r *http.Request) string {
	names, _ := varies(vary)
	var key []byte
	for _, name := range names {
		lines := r.Header.Values(name)
		if name == "Host" {
			lines = []string{r.Host}
		}
		key = strconv.AppendQuote(key, name)
		if len(lines) == 0 {
			continue
		}
		value := normal(name, lines)
		if name == "Accept-Encoding" && strings.Contains(value, "gzip") {
			value = "gzip"
		}
		key = strconv.AppendQuote(append(key, '='), value)
	}
	return string(key)
}
