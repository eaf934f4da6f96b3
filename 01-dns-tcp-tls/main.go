// Command 01-dns-tcp-tls is chapter 1, live: a DNS server for shop.test, a shop
// over TLS, and a client that finds it. Package stage explains the command line.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/client"
	"clicktocode.example/01-dns-tcp-tls/roles"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

func main() {
	dnsAddr, shopAddr := stage.Env("DNS_ADDR", "127.0.0.1:8053"), stage.Env("SHOP_ADDR", "127.0.0.1:8443")
	dnsHost, dnsPort, _ := net.SplitHostPort(dnsAddr)
	host, port, _ := net.SplitHostPort(shopAddr)
	url, ca := "https://shop.test:"+port+"/", stage.Path(authority.CertificateFile)
	stage.Main(stage.Description{
		Title: "Chapter 1: DNS, TCP, TLS. The customer places an order",
		URL:   url,
		Roles: []stage.Role{{Name: "dns", What: "the zone shop.test", Addr: dnsAddr}, {Name: "shop", What: "greets over TLS", Addr: shopAddr}},
		Try: []stage.Try{
			{What: "one request, phase by phase", Command: "go run ./workshop click"},
			{What: "two, the second over the first one's connection", Command: "go run ./workshop click -n 2"},
			{What: "the name, asked for by dig", Command: fmt.Sprintf("dig @%s -p %s shop.test", dnsHost, dnsPort)},
			{What: "the shop, visited by curl", Command: fmt.Sprintf("curl --cacert %s --resolve shop.test:%s:%s %s", ca, port, host, url)},
			{What: "the certificate, shown by openssl", Command: fmt.Sprintf("openssl s_client -brief -connect %s -servername shop.test -CAfile %s", shopAddr, ca)},
		},
		Env: map[string]string{
			"DNS_ADDR":     "where the DNS server listens and the client asks, address and port: " + dnsAddr,
			"SHOP_ADDR":    "where the shop listens: " + shopAddr,
			"WORKSHOP_DIR": "the folder for keys and state, in place of .workshop in the clone",
		},
	}, map[string]stage.Run{"dns": serveDNS(dnsAddr), "shop": serveShop(shopAddr), "click": client.Command(dnsAddr)})
}

func serveDNS(addr string) stage.Run {
	return func(ctx context.Context, s *stage.Stage) error { return roles.ServeDNS(ctx, s, addr, zone.ShopTest) }
}

func serveShop(addr string) stage.Run {
	return func(ctx context.Context, s *stage.Stage) error {
		return roles.ServeHTTPS(ctx, s, addr, s.Observe(http.HandlerFunc(greet)))
	}
}

func greet(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintf(w, "Welcome to the shop, %s. We speak %s over %s, session resumed: %t.\n",
		r.RemoteAddr, r.Proto, tls.VersionName(r.TLS.Version), r.TLS.DidResume)
}
