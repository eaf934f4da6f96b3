package edgetest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"clicktocode.example/02-load-balancer/peer"
	"clicktocode.example/03-reverse-proxy/edgetest"
)

const (
	noAge          = "nginx does not know Age"
	noInvalidation = "nginx leaves what is stored until it is stale"
	noTargeted     = "it does not know CDN-Cache-Control"
)

// known skips t, or under CI fails it, unless p is of that version: what a peer
// fails by its own choice is another choice in the next.
func known(t *testing.T, p peer.Program, version string) {
	t.Helper()
	found, err := p.Version()
	if err == nil && !strings.HasPrefix(found, version+".") {
		err = fmt.Errorf("this list is of version %s, and %s is %s", version, p, found)
	}
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("not checked against it: ", err)
	}
	require.NoError(t, err)
}

func TestNginx(t *testing.T) {
	t.Parallel()
	known(t, peer.Nginx, "1.22")
	edgetest.Run(t, func(t testing.TB, origin string) string {
		return peer.ForTest(t, peer.Nginx, func(dir, addr string) string {
			return fmt.Sprintf(`
	access_log off;
	client_max_body_size 0;
	upstream origin { server %[1]s max_fails=0; keepalive 16; }
	proxy_cache_path %[2]s/cache keys_zone=edge:1m;
	gzip on;
	gzip_vary on;
	gzip_proxied any;
	gzip_min_length 1024;
	gzip_types text/plain text/event-stream;

	# A WebSocket may be switched to, and nothing else.
	map $http_upgrade $upgrade { default ""; ~*^websocket$ $http_upgrade; }
	map $upgrade $upgraded { default upgrade; "" ""; }
	map $upstream_cache_status $cache_status { default "nginx; fwd=uri-miss"; HIT "nginx; hit"; STALE "nginx; hit"; UPDATING "nginx; hit"; REVALIDATED "nginx; fwd=stale"; EXPIRED "nginx; fwd=stale"; }

	server {
		listen %[3]s;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_request_buffering off;
			proxy_next_upstream off;
			proxy_set_header Host $host;
			proxy_set_header Upgrade $upgrade;
			proxy_set_header Connection $upgraded;
			proxy_set_header Proxy-Connection "";
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header Forwarded "";
			proxy_cache edge;
			proxy_cache_key $scheme$host$request_uri;
			proxy_cache_lock on;
			proxy_cache_revalidate on;
			proxy_cache_background_update on;
			proxy_cache_bypass $http_authorization;
			proxy_no_cache $http_authorization;
			add_header Cache-Status $cache_status;
		}
	}`, origin, dir, addr)
		}).Addr
	}, map[string]string{
		"forwarding/fields_that_connection_names_do_not_reach_the_origin": "nginx removes the fields of its own list alone",
		"forwarding/fields_that_connection_names_do_not_reach_the_client": "nginx removes the fields of its own list alone",
		"forwarding/content_that_the_origin_refuses_is_not_asked_for":     "nginx answers Expect itself",
		"forwarding/103_reaches_the_client":                               "nginx knows no 1xx from an origin before 1.29",
		"forwarding/trailers_of_an_answer_arrive":                         "nginx drops trailers before 1.27.2",
		"forwarding/trailers_of_a_request_arrive":                         "nginx drops trailers",
		"upgrade/a_client_that_has_said_all_still_hears":                  "nginx ends both sides when one ends",
		"upgrade/an_origin_that_has_said_all_still_hears":                 "nginx ends both sides when one ends",
		"caching/a_public_answer_to_Authorization_is_everybody's":         "nginx takes no notice of Authorization, so it is configured to keep nothing beside it",
		"caching/a_hit_has_an_age_where_the_origin_gave_none":             noAge,
		"caching/POST_ends_what_is_stored":                                noInvalidation,
		"caching/PUT_ends_what_is_stored":                                 noInvalidation,
		"caching/DELETE_ends_what_is_stored":                              noInvalidation,
		"caching/CDN-Cache-Control_beats_Cache-Control":                   noTargeted,
		"caching/no-store_in_CDN-Cache-Control_beats_Cache-Control":       noTargeted,
		"staleness/what_is_as_old_as_it_may_be_is_asked_for_again":        noAge,
		"staleness/304_updates_the_stored_header":                         "nginx updates the lifetime alone",
		"staleness/stale-if-error_helps_when_the_origin_says_503":         "nginx means by stale-if-error that the origin cannot be reached",
		"compression/no-transform_stays_as_it_is":                         "nginx does not know no-transform",
		"requests/a_line_without_a_colon_is_refused":                      "nginx takes it for a field with no value",
		"requests/a_bare_LF_in_a_chunk_extension_is_refused":              "nginx takes LF for the end of a line everywhere",
		"requests/a_request_of_HTTP/0.9_is_refused":                       "nginx serves HTTP/0.9",
		"answers/two_Content-Lengths_that_differ_are_502":                 "nginx takes the last before 1.23",
		"answers/a_Content-Length_that_is_no_number_is_502":               "nginx ignores it",
		"answers/an_answer_that_is_no_HTTP_is_502":                        "nginx takes it for HTTP/0.9",
	})
}
