package forwarded_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/exercise/forwarded"
)

// The balancer 10.0.0.1 is trusted, and so are the others at 10.0.0.0/24.
// 198.51.100.9 is a client, and 203.0.113.66 is whom it would like to be.

// New is given.
//
//workshop:guard TestNew/...
func TestNew(t *testing.T) {
	t.Run("names_all_faults", func(t *testing.T) {
		_, err := forwarded.New(forwarded.Config{
			Name:    "edge one",
			Trusted: []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/120"), netip.MustParsePrefix("10.0.0.0/24")},
		})
		for _, fault := range []string{`"edge one"`, "the zero one", "::ffff:10.0.0.0/120"} {
			require.ErrorContains(t, err, fault, "all faults of a configuration are reported at once")
		}
	})

	t.Run("takes_what_can_be_a_name", func(t *testing.T) {
		for _, name := range []string{"", "edge1", "edge-1.shop_test"} {
			_, err := forwarded.New(forwarded.Config{Name: name})
			require.NoError(t, err, "Name %q", name)
		}
		_, err := forwarded.New(forwarded.Config{Name: "bistró"})
		require.Error(t, err, "a name with ó would be neither a token in Via nor a node in Forwarded")
	})
}

func TestClient(t *testing.T) {
	for _, row := range []struct {
		name    string
		trusted string
		remote  string
		lines   []string // of X-Forwarded-For
		want    string
		why     string
	}{
		{"is_the_peer", "", "198.51.100.9:5000", nil, "198.51.100.9",
			"nobody stands between: the client is the machine that the connection comes from, r.RemoteAddr without its port"},
		{"is_nobody_that_the_peer_makes_up", "10.0.0.0/24", "198.51.100.9:5000", []string{"203.0.113.66"}, "198.51.100.9",
			"the peer is not trusted, so what it says of itself counts for nothing: anybody can write a header"},
		{"is_whom_a_trusted_peer_names", "10.0.0.0/24", "10.0.0.1:5000", []string{"198.51.100.9"}, "198.51.100.9",
			"the peer is trusted, so the client is the one that it got the request from"},
		{"is_the_last_one_that_is_not_trusted", "10.0.0.0/24", "10.0.0.1:5000", []string{"203.0.113.66, 198.51.100.9"}, "198.51.100.9",
			"each proxy writes behind what is there already. The last element is the word of the trusted peer; what stands before it is what 198.51.100.9 said, whom nobody trusts. Read from the right"},
		{"is_found_behind_several_proxies", "10.0.0.0/24", "10.0.0.1:5000", []string{"203.0.113.66, 198.51.100.9, 10.0.0.3, 10.0.0.2"}, "198.51.100.9",
			"10.0.0.1 got it from 10.0.0.2, that from 10.0.0.3, that from 198.51.100.9: as long as the one that speaks is trusted, go on to the left"},
		{"is_not_sought_beyond_a_stranger", "10.0.0.0/24", "10.0.0.1:5000", []string{"203.0.113.66, 10.0.0.3, 198.51.100.9, 10.0.0.2"}, "198.51.100.9",
			"10.0.0.3 is trusted, but that it was there is said by 198.51.100.9, who is not. The search ends at the first that is not trusted"},
		{"is_found_on_several_lines", "10.0.0.0/24", "10.0.0.1:5000", []string{"203.0.113.66", "198.51.100.9", "10.0.0.2"}, "198.51.100.9",
			"several lines are one list, in their order (RFC 9110 §5.3): the client's own line comes first, and r.Header.Get returns that one"},
		{"is_the_first_if_all_are_trusted", "10.0.0.0/24", "10.0.0.1:5000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3",
			"all are trusted, so a trusted machine has asked: the one that is farthest away"},
		{"is_the_last_one_known_before_garbage", "10.0.0.0/24", "10.0.0.1:5000", []string{"198.51.100.9, <b>you</b>, 10.0.0.2"}, "10.0.0.2",
			"10.0.0.2 got it from something that is no address. What stands left of that was said by nobody known: the search ends at 10.0.0.2"},
		{"is_not_changed_by_garbage_farther_left", "10.0.0.0/24", "10.0.0.1:5000", []string{"unknown, 198.51.100.9"}, "198.51.100.9",
			"198.51.100.9 is not trusted, so nobody looks at what it said"},
		{"may_have_asked_over_IPv6", "10.0.0.0/24 2001:db8:1::/64", "[2001:db8:1::5]:5000", []string{"2001:db8:2::7"}, "2001:db8:2::7",
			"in X-Forwarded-For an IPv6 address stands bare. parse (below) reads it"},
		{"may_stand_there_with_a_port", "10.0.0.0/24", "10.0.0.1:5000", []string{"203.0.113.66, [2001:db8:2::7]:4711, 10.0.0.2:80"}, "2001:db8:2::7",
			"some proxies write the port, too. parse (below) leaves it out"},
		{"may_be_IPv4_in_the_form_of_IPv6", "10.0.0.0/24", "[::ffff:10.0.0.1]:5000", []string{"::ffff:198.51.100.9"}, "198.51.100.9",
			"::ffff:10.0.0.1 is 10.0.0.1 as a socket for IPv6 shows it, and is trusted. parse (below) makes IPv4 of it"},
		{"may_come_from_a_peer_with_a_zone", "fe80::1/128", "[fe80::1%eth0]:5000", []string{"198.51.100.9"}, "198.51.100.9",
			"%eth0 says by which interface fe80::1 is reached. parse (below) leaves it out"},
		{"is_found_between_empty_elements", "10.0.0.0/24", "10.0.0.1:5000", []string{"203.0.113.66,, 198.51.100.9 ,", ""}, "198.51.100.9",
			"empty elements of a list count for nothing (RFC 9110 §5.6.1.2). elements (below) leaves them out"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := request(row.remote, nil)
			if row.lines != nil {
				r.Header["X-Forwarded-For"] = row.lines
			}
			got := client(t, forwarder(t, row.trusted), r)
			assert.Equal(t, row.want, got.String(), "as in: trusted are [%s], r.RemoteAddr is %s, X-Forwarded-For %s. Client must be %s: %s", row.trusted, row.remote, strings.Join(row.lines, " | "), row.want, row.why)
		})
	}

	t.Run("is_believed_of_nobody_by_default", func(t *testing.T) {
		f, err := forwarded.New(forwarded.Config{})
		require.NoError(t, err)
		for _, peer := range []string{"127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "fd00::1"} {
			r := request(netip.AddrPortFrom(netip.MustParseAddr(peer), 5000).String(), []string{"X-Forwarded-For: 203.0.113.66"})
			require.Equal(t, peer, client(t, f, r).String(), "as in: Config{}, r.RemoteAddr is %s, X-Forwarded-For 203.0.113.66. Nobody is trusted unless he is named: on this machine, or in this network, may be anybody", r.RemoteAddr)
		}
	})

	t.Run("is_not_taken_from_Forwarded", func(t *testing.T) {
		f := forwarder(t, "10.0.0.0/24")
		r := request("10.0.0.1:5000", []string{"X-Forwarded-For: 198.51.100.9", "Forwarded: for=203.0.113.66"})
		assert.Equal(t, "198.51.100.9", client(t, f, r).String(), "as in: 10.0.0.1 is trusted and asks, X-Forwarded-For is 198.51.100.9, Forwarded is for=203.0.113.66. Only X-Forwarded-For is believed: a proxy that writes one of the two passes on what a client made up in the other")
		r = request("10.0.0.1:5000", []string{"Forwarded: for=203.0.113.66"})
		assert.Equal(t, "10.0.0.1", client(t, f, r).String(), "as in: 10.0.0.1 is trusted and asks, there is no X-Forwarded-For, and Forwarded is for=203.0.113.66. Forwarded is never believed, not even where it is all there is: 10.0.0.1 may not know it, and has passed on what its client wrote")
	})

	t.Run("has_no_address_if_the_peer_has_none", func(t *testing.T) {
		f := forwarder(t, "10.0.0.0/24")
		require.Equal(t, "198.51.100.9", client(t, f, request("10.0.0.1:5000", []string{"X-Forwarded-For: 198.51.100.9"})).String(), "as in: 10.0.0.1 is trusted and asks, X-Forwarded-For is 198.51.100.9")
		got := client(t, f, request("@", []string{"X-Forwarded-For: 203.0.113.66"}))
		assert.False(t, got.IsValid(), "as in: r.RemoteAddr is \"@\", as over a Unix socket, X-Forwarded-For 203.0.113.66. The peer has no address, so it is not trusted, and Client is the zero Addr, not %s", got)
	})
}

func TestXForwarded(t *testing.T) {
	t.Run("names_the_peer", func(t *testing.T) {
		out, input := set(t, "", request("198.51.100.9:5000", nil))
		assert.Equal(t, "198.51.100.9", field(out, "X-Forwarded-For"), "%s. X-Forwarded-For is the peer's address, without its port", input)
	})

	t.Run("replaces_what_a_client_made_up", func(t *testing.T) {
		out, input := set(t, "10.0.0.0/24", request("198.51.100.9:5000", []string{"X-Forwarded-For: 203.0.113.66", "X-Forwarded-For: 127.0.0.1"}))
		assert.Equal(t, "198.51.100.9", field(out, "X-Forwarded-For"), "%s. The peer is not trusted: nothing of what it wrote may go on, or the server behind believes it", input)
	})

	t.Run("continues_what_a_trusted_proxy_wrote", func(t *testing.T) {
		out, input := set(t, "10.0.0.0/24", request("10.0.0.1:5000", []string{"X-Forwarded-For: 198.51.100.9", "X-Forwarded-For: 10.0.0.2"}))
		assert.Equal(t, "198.51.100.9, 10.0.0.2, 10.0.0.1", list(out, "X-Forwarded-For"), "%s. The peer is trusted: X-Forwarded-For is the whole way, the client first, the peer last, on one line", input)
	})

	t.Run("leaves_out_what_lies_before_the_client", func(t *testing.T) {
		out, input := set(t, "10.0.0.0/24", request("10.0.0.1:5000", []string{"X-Forwarded-For: 203.0.113.66, 198.51.100.9"}))
		assert.Equal(t, "198.51.100.9, 10.0.0.1", list(out, "X-Forwarded-For"), "%s. 203.0.113.66 is what 198.51.100.9 said, who is not trusted. Many programs take the first of the list for the client: it must be him", input)
	})

	t.Run("writes_IPv6_bare", func(t *testing.T) {
		out, input := set(t, "", request("[2001:db8:2::7]:5000", nil))
		assert.Equal(t, "2001:db8:2::7", field(out, "X-Forwarded-For"), "%s. In X-Forwarded-For, other than in Forwarded, an IPv6 address has neither brackets nor quotes", input)
	})

	t.Run("says_unknown_of_a_peer_without_address", func(t *testing.T) {
		out, input := set(t, "", request("@", []string{"X-Forwarded-For: 203.0.113.66"}))
		assert.Equal(t, "unknown", field(out, "X-Forwarded-For"), "%s. The peer has no address, as over a Unix socket: \"unknown\" stands for it", input)
	})

	for _, row := range []struct {
		name        string
		remote      string
		tls         bool
		lines       []string
		host, proto string
		why         string
	}{
		{"has_host_and_proto_of_the_request", "198.51.100.9:5000", false, nil, "shop.test:8443", "http", "the request came to r.Host, and without TLS"},
		{"has_proto_https_over_TLS", "198.51.100.9:5000", true, nil, "shop.test:8443", "https", "the request came over TLS: r.TLS is not nil"},
		{"does_not_believe_a_client_about_them", "198.51.100.9:5000", false, []string{"X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https"}, "shop.test:8443", "http", "the peer is not trusted: its own values count for nothing"},
		{"believes_a_trusted_proxy_about_them", "10.0.0.1:5000", false, []string{"X-Forwarded-Host: www.shop.test", "X-Forwarded-Proto: https"}, "www.shop.test", "https", "the peer is trusted, and tells what the client asked for"},
		{"believes_only_the_last_value", "10.0.0.1:5000", false, []string{"X-Forwarded-Host: evil.test", "X-Forwarded-Host: www.shop.test", "X-Forwarded-Proto: http, https"}, "www.shop.test", "https", "the last value is what the trusted peer wrote. asked (below) sees to it"},
		{"believes_no_other_proto", "10.0.0.1:5000", true, []string{"X-Forwarded-Proto: gopher"}, "shop.test:8443", "https", "gopher is neither http nor https. asked (below) sees to it"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := request(row.remote, row.lines)
			if row.tls {
				r.TLS = &tls.ConnectionState{}
			}
			out := r.Header.Clone()
			if strings.HasPrefix(row.remote, "10.") {
				out = http.Header{} // with a copy, the right values would be there beforehand
			}
			out, input := setInto(t, out, forwarded.Config{Trusted: prefixes("10.0.0.0/24")}, r)
			assert.Equal(t, row.host+", "+row.proto, field(out, "X-Forwarded-Host")+", "+field(out, "X-Forwarded-Proto"), "%s. X-Forwarded-Host and X-Forwarded-Proto must be %s, %s: %s", input, row.host, row.proto, row.why)
		})
	}

	t.Run("agrees_with_net_http", func(t *testing.T) {
		for _, remote := range []string{"198.51.100.9:5000", "[2001:db8:2::7]:5000"} {
			for _, secure := range []*tls.ConnectionState{nil, {}} {
				r := request(remote, []string{"X-Forwarded-For: 203.0.113.66", "X-Forwarded-Proto: gopher"})
				r.TLS = secure
				judge := &httputil.ProxyRequest{In: r, Out: &http.Request{Header: http.Header{}}}
				judge.SetXForwarded()
				out, input := set(t, "", r)
				for name := range judge.Out.Header {
					require.Equal(t, field(judge.Out.Header, name), field(out, name), "%s. %s must be what httputil.ProxyRequest.SetXForwarded writes", input, name)
				}
			}
		}
	})
}

func TestForwarded(t *testing.T) {
	t.Run("tells_it_all_in_one_element", func(t *testing.T) {
		got, input := parsed(t, "", request("198.51.100.9:5000", nil))
		assert.Equal(t, "by=_edge for=198.51.100.9 host=shop.test:8443 proto=http", got, "%s. Without proxies before this one there is one element, with all four parameters (RFC 7239 §4)", input)
	})

	t.Run("has_IPv6_in_brackets_and_quotes", func(t *testing.T) {
		r := request("[2001:db8:2::7]:5000", nil)
		out, input := set(t, "", r)
		assert.Contains(t, strings.ToLower(field(out, "Forwarded")), `for="[2001:db8:2::7]"`, "%s. Without brackets, the last group of an IPv6 address could be a port, and a value with a colon must be quoted (RFC 7239 §6)", input)
	})

	t.Run("names_the_proxy_as_it_was_told_to", func(t *testing.T) {
		got, input := parsedBy(t, forwarded.Config{Name: "edge-1"}, request("198.51.100.9:5000", nil))
		assert.Equal(t, "by=_edge-1 for=198.51.100.9 host=shop.test:8443 proto=http", got, "%s. Config.Name is edge-1: by= is that name, with a _ before it, which says that it is a name and no address (RFC 7239 §6.3)", input)
	})

	t.Run("has_an_element_for_each_hop", func(t *testing.T) {
		r := request("10.0.0.1:5000", []string{"X-Forwarded-For: 203.0.113.66, 198.51.100.9, 10.0.0.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.shop.test"})
		got, input := parsed(t, "10.0.0.0/24", r)
		assert.Equal(t, "for=198.51.100.9 host=www.shop.test proto=https, for=10.0.0.2, by=_edge for=10.0.0.1", got, "%s. The same way as in X-Forwarded-For: host and proto, which the client chose, are in the first element, by, which is this proxy, in the last", input)
	})

	t.Run("replaces_what_a_client_made_up", func(t *testing.T) {
		got, input := parsed(t, "", request("198.51.100.9:5000", []string{"Forwarded: for=203.0.113.66", "Forwarded: for=127.0.0.1;by=_edge"}))
		assert.Equal(t, "by=_edge for=198.51.100.9 host=shop.test:8443 proto=http", got, "%s. The peer is not trusted: nothing of what it wrote may go on", input)
	})

	t.Run("replaces_what_a_trusted_proxy_passed_on", func(t *testing.T) {
		got, input := parsed(t, "10.0.0.0/24", request("10.0.0.1:5000", []string{"X-Forwarded-For: 198.51.100.9", "Forwarded: for=203.0.113.66"}))
		assert.Equal(t, "for=198.51.100.9 host=shop.test:8443 proto=http, by=_edge for=10.0.0.1", got, "%s. The proxy wrote X-Forwarded-For, and passed Forwarded on as the client made it up. So Forwarded is written anew, from the same way", input)
	})

	t.Run("keeps_the_host_inside_its_quotes", func(t *testing.T) {
		r := request("198.51.100.9:5000", nil)
		r.Host = `shop.test";for="203.0.113.66`
		got, input := parsed(t, "", r)
		assert.Equal(t, `by=_edge for=198.51.100.9 host=shop.test";for="203.0.113.66 proto=http`, got, "%s. The host is the client's, and over HTTP/2 it may hold a \". If that ends the quoted string, the client has written a parameter for= of its own. quote (below) puts a \\ before it", input)
	})

	t.Run("says_unknown_of_a_peer_without_address", func(t *testing.T) {
		got, input := parsed(t, "", request("@", nil))
		assert.Equal(t, "by=_edge for=unknown host=shop.test:8443 proto=http", got, "%s. The peer has no address: for=unknown (RFC 7239 §6.2)", input)
	})
}

func TestVia(t *testing.T) {
	for _, row := range []struct {
		name         string
		major, minor int
		lines        []string
		want         string
		why          string
	}{
		{"names_this_proxy", 1, 1, nil, "1.1 edge", "the version by which the request came, and the proxy's name (RFC 9110 §7.6.3)"},
		{"tells_the_version_of_the_request", 1, 0, nil, "1.0 edge", "the request came by HTTP/1.0 (RFC 9110 §7.6.3)"},
		{"tells_it_of_HTTP_2", 2, 0, nil, "2.0 edge", "the request came by HTTP/2, which is 2.0 in Go, whatever goes on by"},
		{"continues_what_is_there", 1, 1, []string{"Via: 1.0 fred", "Via: 1.1 front (cache), 1.1 middle"}, "1.0 fred, 1.1 front (cache), 1.1 middle, 1.1 edge", "each proxy writes itself behind the others, whoever they are: by its own name a proxy sees that a request goes in circles (RFC 9110 §7.6.3)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := request("198.51.100.9:5000", row.lines)
			r.Proto, r.ProtoMajor, r.ProtoMinor = fmt.Sprintf("HTTP/%d.%d", row.major, row.minor), row.major, row.minor
			out, input := setInto(t, http.Header{}, forwarded.Config{}, r)
			assert.Equal(t, row.want, list(out, "Via"), "%s, by %s. out was empty. Via must be %s: %s", input, r.Proto, row.want, row.why)
		})
	}

	t.Run("names_the_proxy_as_it_was_told_to", func(t *testing.T) {
		out, input := setInto(t, http.Header{}, forwarded.Config{Name: "edge-1"}, request("198.51.100.9:5000", []string{"Via: 1.1 edge"}))
		assert.Equal(t, "1.1 edge, 1.1 edge-1", list(out, "Via"), "%s. Config.Name is edge-1, and that is what stands in Via. If all edges had one name, none of them could tell whether a request has been there already (RFC 9110 §7.6.3)", input)
	})
}

func TestSet(t *testing.T) {
	t.Run("leaves_the_request_unchanged", func(t *testing.T) {
		lines := make([]string, 1, 2) // with room for what should not be there
		lines[0] = "1.0 fred"
		r := request("10.0.0.1:5000", []string{"X-Forwarded-For: 198.51.100.9", "X-Forwarded-Host: www.shop.test", "X-Forwarded-Proto: https", "Forwarded: for=203.0.113.66", "Accept: text/html"})
		r.Header["Via"] = lines
		was := fmt.Sprint(r.Header)
		out, input := set(t, "10.0.0.0/24", r)
		require.Contains(t, field(out, "Via"), "edge", "%s. Via must name this proxy", input)
		assert.Equal(t, was, fmt.Sprint(r.Header), "%s. What r holds after Set: it is only read", input)
		assert.Empty(t, lines[:2][1], "%s. Set has appended to a slice of r's: append writes into the array behind it where there is room. Make a new one", input)
	})

	t.Run("leaves_other_fields_alone", func(t *testing.T) {
		out, input := set(t, "", request("198.51.100.9:5000", []string{"Accept: text/html", "X-Forwarded-Port: 1"}))
		require.NotEmpty(t, field(out, "X-Forwarded-For"), "%s. X-Forwarded-For must be set", input)
		assert.Equal(t, "text/html", field(out, "Accept"), "%s. Accept is none of the fields that Set writes", input)
		assert.Equal(t, "1", field(out, "X-Forwarded-Port"), "%s. X-Forwarded-Port is none of the fields that Set writes: what becomes of it is for others to say", input)
	})

	t.Run("replaces_whatever_out_holds", func(t *testing.T) {
		out := http.Header{}
		names := []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via"}
		for _, name := range names {
			out[name] = []string{"left over"}
		}
		out, input := setInto(t, out, forwarded.Config{}, request("198.51.100.9:5000", nil))
		for _, name := range names {
			assert.NotContains(t, field(out, name), "left over", "%s. out held %s: left over, which is not from r. Set replaces what is there: what r says is in r", input, name)
			assert.Len(t, out[name], 1, "%s. out held %s: left over. Afterwards there is one line, by Set", input, name)
		}
	})

	t.Run("tells_the_next_one_who_asked", func(t *testing.T) {
		first, second, shop := forwarder(t, "10.0.0.0/24"), forwarder(t, "10.0.0.0/24"), forwarder(t, "10.0.0.0/24")
		r := request("198.51.100.9:5000", []string{"X-Forwarded-For: 203.0.113.66, 10.0.0.2", "Forwarded: for=203.0.113.66"})
		for i, f := range []*forwarded.Forwarder{first, second} {
			next := request(fmt.Sprintf("10.0.0.%d:5000", i+1), nil)
			next.Header = r.Header.Clone()
			within(t, "as in: two proxies in a row", func() { f.Set(next.Header, r) })
			r = next
		}
		assert.Equal(t, "198.51.100.9", client(t, shop, r).String(), "as in: 198.51.100.9 asks with X-Forwarded-For \"203.0.113.66, 10.0.0.2\", and two proxies that trust each other pass it on to the shop, which trusts both. X-Forwarded-For is %s there: the shop must find the client", field(r.Header, "X-Forwarded-For"))
	})
}

func BenchmarkSet(b *testing.B) {
	f, err := forwarded.New(forwarded.Config{Trusted: prefixes("10.0.0.0/24")})
	require.NoError(b, err)
	for name, r := range map[string]*http.Request{
		"client": request("198.51.100.9:5000", nil),
		"proxy":  request("10.0.0.1:5000", []string{"X-Forwarded-For: 198.51.100.9", "Via: 1.1 front"}),
	} {
		b.Run(name, func(b *testing.B) {
			out := make(http.Header, 8)
			b.ReportAllocs()
			for b.Loop() {
				f.Set(out, r)
			}
		})
	}
}

// parsed is what Set writes into Forwarded, read by a parser that knows nothing
// of the package: elements in their order, parameters sorted, without quotes.
func parsed(t *testing.T, trusted string, r *http.Request) (text, input string) {
	t.Helper()
	return parsedBy(t, forwarded.Config{Trusted: prefixes(trusted)}, r)
}

// parsedBy is parsed for any Config.
func parsedBy(t *testing.T, c forwarded.Config, r *http.Request) (text, input string) {
	t.Helper()
	out, input := setInto(t, r.Header.Clone(), c, r)
	value := field(out, "Forwarded")
	input += ". Forwarded became " + value
	require.LessOrEqual(t, len(out["Forwarded"]), 1, "%s. It must be on one line, and nothing of what was there beside it", input)
	var all []string
	for rest := value; rest != ""; {
		var element []string
		for {
			require.Equal(t, strings.TrimLeft(rest, " "), rest, "%s. A space stands before %q: behind a semicolon there is none (RFC 7239 §4)", input, strings.TrimLeft(rest, " "))
			name, after, found := strings.Cut(rest, "=")
			require.True(t, found, "%s. There is no = behind %q: a parameter is a name, = and a value (RFC 7239 §4)", input, rest)
			var v string
			v, rest = scan(t, after, input)
			element = append(element, strings.ToLower(strings.TrimSpace(name))+"="+v)
			var more bool
			if rest, more = strings.CutPrefix(rest, ";"); !more {
				break
			}
		}
		all = append(all, strings.Join(sorted(element), " "))
		if rest != "" {
			require.True(t, strings.HasPrefix(rest, ","), "%s. Behind a value comes a semicolon, a comma or the end, not %q (RFC 7239 §4)", input, rest)
			rest = strings.TrimSpace(rest[1:])
		}
	}
	return strings.Join(all, ", "), input
}

// scan reads a token or a quoted-string (RFC 9110 §5.6.2, §5.6.4).
func scan(t *testing.T, s, input string) (value, rest string) {
	t.Helper()
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexFunc(s, func(c rune) bool { return strings.ContainsRune(`()<>@,;:\"/[]?={} `, c) })
		if end < 0 {
			end = len(s)
		}
		require.Positive(t, end, "%s. Where a value should be stands %q: what is no token must be quoted (RFC 7239 §4)", input, s)
		return s[:end], strings.TrimLeft(s[end:], " ")
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return value, strings.TrimLeft(s[i+1:], " ")
		case '\\':
			i++
		}
		if i < len(s) {
			value += s[i : i+1]
		}
	}
	require.Fail(t, "a quote is left open", input)
	return "", ""
}

// sorted puts by before for, and so on: parameters may stand in any order.
func sorted(element []string) (all []string) {
	for _, name := range []string{"by=", "for=", "host=", "proto="} {
		for _, parameter := range element {
			if strings.HasPrefix(parameter, name) {
				all = append(all, parameter)
			}
		}
	}
	return all
}

// field is a field with all its lines, which should be one.
func field(h http.Header, name string) string { return strings.Join(h[name], " | ") }

// list is field, with one space behind each comma: there may be any, or none.
func list(h http.Header, name string) string {
	elements := strings.Split(field(h, name), ",")
	for i := range elements {
		elements[i] = strings.Trim(elements[i], " \t")
	}
	return strings.Join(elements, ", ")
}

// request is one that came from remote.
func request(remote string, lines []string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://shop.test:8443/menu", nil)
	r.RemoteAddr = remote
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func prefixes(list string) (all []netip.Prefix) {
	for _, p := range strings.Fields(list) {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func forwarder(t *testing.T, trusted string) *forwarded.Forwarder {
	t.Helper()
	f, err := forwarded.New(forwarded.Config{Trusted: prefixes(trusted)})
	require.NoError(t, err)
	return f
}

// client is Client, which must come back.
func client(t *testing.T, f *forwarded.Forwarder, r *http.Request) (a netip.Addr) {
	t.Helper()
	within(t, fmt.Sprintf("as in: r.RemoteAddr is %s, header %v", r.RemoteAddr, r.Header), func() { a = f.Client(r) })
	return a
}

// set is what Set makes of a copy of r's header.
func set(t *testing.T, trusted string, r *http.Request) (out http.Header, input string) {
	t.Helper()
	return setInto(t, r.Header.Clone(), forwarded.Config{Trusted: prefixes(trusted)}, r)
}

// setInto is what Set makes of out.
func setInto(t *testing.T, out http.Header, c forwarded.Config, r *http.Request) (_ http.Header, input string) {
	t.Helper()
	f, err := forwarded.New(c)
	require.NoError(t, err)
	input = fmt.Sprintf("as in: trusted are %v, r.RemoteAddr is %s, r.Host %s, header %v", c.Trusted, r.RemoteAddr, r.Host, r.Header)
	within(t, input, func() { f.Set(out, r) })
	return out, input
}

// within fails unless f returns soon, and without a panic.
func within(t *testing.T, input string, f func()) {
	t.Helper()
	done := make(chan string, 1)
	go func() {
		fault := ""
		defer func() {
			if p := recover(); p != nil {
				fault = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
			}
			done <- fault
		}()
		f()
	}()
	for range 100 { // a second of this program: the time that a busy machine stands still does not count
		select {
		case fault := <-done:
			require.Empty(t, fault, "%s. It must not panic: the request would die with it", input)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.FailNow(t, "it has not returned after a second", input)
}
