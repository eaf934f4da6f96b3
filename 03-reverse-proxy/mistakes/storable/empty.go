//go:build ignore

// It reads the fields with Get, which is "" for a field that is absent and for one that
// is there and empty. The two may have different answers, and here they share one.
//
//workshop:caught-by TestKey/tells_absent_from_empty
//workshop:says one that is there and empty is not absent
package storable

import (
	"net/http"
	"strconv"
)

func Key(vary http.Header, r *http.Request) string {
	names, _ := varies(vary)
	var key []byte
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "Host" {
			value = r.Host
		}
		key = strconv.AppendQuote(key, name)
		key = append(key, '=')
		key = strconv.AppendQuote(key, normal(name, []string{value}))
	}
	return string(key)
}
