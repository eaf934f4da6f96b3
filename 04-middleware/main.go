// Command 04-middleware is chapters 1 to 4, live: behind chapter 3's door and its
// two edges, three replicas whose little kitchen is guarded by the bouncers, each
// a process of its own. Package stage, of chapter 1, explains the command line;
// beyond that, it makes tokens:
//
//	go run ./04-middleware -token ada -scope orders:write
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/03-reverse-proxy/gate"
	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/replica"
)

func main() {
	if code, asked := guest.Command(os.Args[1:], os.Stdout, os.Stderr); asked {
		os.Exit(code)
	}
	// The edges' address is that of everyone on this machine, so here everyone who
	// goes to a replica directly is believed. Elsewhere, only edges can go there.
	proxies, origins, mode := stage.Env("TRUSTED_PROXIES", "127.0.0.1/32"), stage.Env("CORS_ORIGINS", ""), stage.Env("GIN_MODE", "release")
	d, run := gate.New(gate.Config{
		Title: "Chapter 4: middleware. The bouncers",
		Path:  "/menu",
		API:   replica.API,
		What:  "a replica: the bouncers, and the kitchen",
		Replica: func(_ context.Context, s *stage.Stage) (http.Handler, error) {
			key, err := issuer.Open("")
			if err != nil {
				return nil, err
			}
			trusted, err := prefixes(proxies)
			if err != nil {
				return nil, err
			}
			return replica.New(replica.Config{
				Name: s.Name, Key: key, TrustedProxies: trusted, Origins: list(origins), Development: mode == "debug", Log: s.Log,
			})
		},
	})
	d.Env["TRUSTED_PROXIES"] = "whose X-Forwarded-For a replica believes, as prefixes with commas between: " + proxies
	d.Env["CORS_ORIGINS"] = "other origins whose scripts may use the replicas, with commas between: " + origins
	d.Env["GIN_MODE"] = "release, or debug, with which gin prints its routes: " + mode
	if key, err := issuer.Open(""); err == nil { // otherwise the replicas say what is wrong
		if first, err := guest.Try(key, d.URL); err == nil {
			d.Try = append(first, d.Try...)
		}
	}
	stage.Main(d, run)
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func prefixes(text string) (all []netip.Prefix, err error) {
	for _, word := range list(text) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, fmt.Errorf("TRUSTED_PROXIES: %w: write a single address as 192.0.2.1/32", err)
		}
		all = append(all, p)
	}
	return all, nil
}
