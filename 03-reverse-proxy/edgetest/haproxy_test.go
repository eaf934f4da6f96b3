package edgetest_test

import (
	"fmt"
	"testing"

	"clicktocode.example/02-load-balancer/peer"
	"clicktocode.example/03-reverse-proxy/edgetest"
)

const (
	noRanges      = "HAProxy answers no ranges"
	noStale       = "HAProxy keeps nothing beyond its time, and does not revalidate"
	noNUL         = "HAProxy passes NUL on before 2.8"
	hostIsOrigins = "HAProxy leaves Host to the origin"
)

func TestHAProxy(t *testing.T) {
	t.Parallel()
	known(t, peer.HAProxy, "2.6")
	edgetest.Run(t, func(t testing.TB, origin string) string {
		return peer.ForTest(t, peer.HAProxy, func(_, addr string) string {
			return fmt.Sprintf(`
global
 maxconn 256
 nbthread 1
cache edge
 total-max-size 4
 max-object-size 100000
 max-age 600
 process-vary on
defaults
 mode http
 timeout connect 3s
 timeout client 60s
 timeout server 30s
 timeout tunnel 60s
 option abortonclose
 retries 0
frontend edge
 bind %[2]s
 http-request del-header X-Forwarded-For
 http-request del-header Forwarded
 http-request del-header Proxy-Connection
 http-request del-header Keep-Alive
 http-response del-header Keep-Alive
 http-request del-header Upgrade if !{ hdr(Upgrade) -i websocket }
 option forwardfor
 http-request cache-use edge if !{ req.hdr(Authorization) -m found }
 http-response cache-store edge
 http-response set-header Cache-Status "haproxy; hit" if { res.cache_hit }
 http-response set-header Cache-Status "haproxy; fwd=uri-miss" if !{ res.cache_hit }
 default_backend origin
backend origin
 compression algo gzip
 compression type text/plain text/event-stream
 server origin %[1]s
`, origin, addr)
		}).Addr
	}, map[string]string{
		"forwarding/fields_that_connection_names_do_not_reach_the_origin":                    "HAProxy removes the fields of its own list alone",
		"forwarding/fields_that_connection_names_do_not_reach_the_client":                    "HAProxy removes the fields of its own list alone",
		"streaming/an_answer_that_could_be_compressed_arrives_while_the_origin_still_writes": "HAProxy does not flush what it compresses",
		"upgrade/an_origin_that_has_said_all_still_hears":                                    "HAProxy ends both sides when the origin ends",
		"caching/s-maxage_beats_max-age":                                                     "HAProxy keeps nothing with max-age=0",
		"caching/a_cookie_goes_to_one_client":                                                "HAProxy keeps cookies, as RFC 9111 §7.3 leaves it to the origin",
		"caching/404_is_kept_as_it_says":                                                     "HAProxy keeps 200 alone",
		"caching/a_public_answer_to_Authorization_is_everybody's":                            "HAProxy takes no notice of Authorization, so it is configured to keep nothing beside it",
		"caching/the_same_language_is_kept_under_Vary":                                       "HAProxy knows Vary for Accept-Encoding and Referer alone",
		"caching/a_range_comes_from_a_stored_whole":                                          noRanges,
		"caching/a_range_behind_the_end_of_a_stored_whole_is_416":                            noRanges,
		"caching/many_misses_make_one_request":                                               "HAProxy does not collapse requests",
		"caching/an_answer_that_broke_off_is_not_kept":                                       "HAProxy keeps nothing for that URL as long as the answer would have been fresh",
		"caching/CDN-Cache-Control_beats_Cache-Control":                                      noTargeted,
		"caching/no-store_in_CDN-Cache-Control_beats_Cache-Control":                          noTargeted,
		"staleness/it_is_asked_for_by_its_ETag":                                              noStale,
		"staleness/stale-while-revalidate_answers_at_once":                                   noStale,
		"staleness/stale-if-error_helps_when_the_origin_says_503":                            noStale,
		"staleness/stale-if-error_helps_when_the_origin_hangs_up":                            noStale,
		"compression/Vary_names_Accept-Encoding_when_not_compressed":                         "HAProxy says so of what it has compressed alone",
		"compression/one_who_cannot_unpack_it_gets_the_same_stored_answer":                   "HAProxy does not compress what comes from its cache",
		"compression/what_is_small_stays_as_it_is":                                           "HAProxy compresses whatever its size",
		"requests/NUL_in_a_field_is_refused":                                                 noNUL,
		"requests/a_bare_LF_in_a_chunk_extension_is_refused":                                 "HAProxy takes LF for the end of a line there",
		"requests/HTTP/1.0_with_Transfer-Encoding_hides_nothing":                             "HAProxy passes Transfer-Encoding on in HTTP/1.0",
		"requests/HTTP/1.0_gets_no_chunks":                                                   "HAProxy passes Transfer-Encoding on in HTTP/1.0",
		"requests/no_Host_is_refused":                                                        hostIsOrigins,
		"requests/a_Host_that_is_none_is_refused":                                            hostIsOrigins,
		"requests/a_tab_in_place_of_a_space_is_refused":                                      "HAProxy takes a tab for a space there, and sends a space",
		"answers/NUL_in_a_field_splits_nothing":                                              noNUL,
	})
}
