// Command 01-dns-tcp-tls is chapter 1, live: a DNS server for shop.test, a shop
// that greets over TLS, and a client that finds the one by way of the other.
// Package stage explains its command line.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/client"
	"clicktocode.example/01-dns-tcp-tls/handoff"
	"clicktocode.example/01-dns-tcp-tls/solution/graceful"
	"clicktocode.example/01-dns-tcp-tls/solution/tlsserver"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

var shopTest = zone.MustParse(`
$ORIGIN shop.test.
@    300  SOA    ns hostmaster 1 3600 600 86400 60
@    300  NS     ns
@    300  A      127.0.0.1
ns   300  A      127.0.0.1
www  300  CNAME  @
`)

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
	return func(ctx context.Context, s *stage.Stage) error {
		server, err := zone.Listen(addr, shopTest, func(q zone.Query) {
			s.Request(q.Question+" → "+q.RCode, 0, map[string]string{"client": q.Client.String(), "network": q.Network, "answers": fmt.Sprint(q.Answers)})
		})
		if err != nil {
			return err
		}
		s.Ready(server.Addr())
		<-ctx.Done()
		return server.Close()
	}
}

// serveShop takes a connection from the listener over accept, in graceful, and TLS to HTTP.
func serveShop(addr string) stage.Run {
	return func(ctx context.Context, s *stage.Stage) error {
		keys, err := authority.Open(authority.Config{Log: s.Log})
		if err != nil {
			return err
		}
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("shop: %w", err)
		}
		web := handoff.New(&http.Server{
			Handler:           s.Observe(http.HandlerFunc(greet)),
			ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		}, tlsserver.Config(keys.Current))
		defer web.Close()
		server := graceful.New(web.ServeConn)
		s.Ready(ln.Addr().String())
		return s.Until(ctx, func() error { return server.Serve(ln, 1000, 10*time.Second) }, server.Shutdown)
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
