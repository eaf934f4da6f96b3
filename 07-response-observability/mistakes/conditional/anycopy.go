//go:build ignore

// It takes every suffix off in If-None-Match. Then a cache that has the answer in gzip
// is told to use that for a client that cannot unpack gzip.
//
//workshop:caught-by TestSuffix/what_the_client_cannot_unpack_is_sent
//workshop:says that copy is of no use to it
package conditional

import "net/http"

func accepted(r *http.Request) []string { return codings }
