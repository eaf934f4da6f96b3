// Command 03-reverse-proxy is chapters 1 to 3, live: a layer-4 balancer at the
// door, two edges behind it where TLS ends, with their routes and caches, and
// behind those three replicas of a little kitchen, each a process of its own.
// Package stage, of chapter 1, explains the command line.
package main

import (
	"context"
	"net/http"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/03-reverse-proxy/gate"
	"clicktocode.example/03-reverse-proxy/kitchen"
)

func main() {
	stage.Main(gate.New(gate.Config{
		Title: "Chapter 3: reverse proxy. The gatekeeper",
		Path:  "/menu",
		API:   []string{"/menu", "/orders", "/session", "/echo"},
		What:  "a replica of the kitchen",
		Replica: func(_ context.Context, s *stage.Stage) (http.Handler, error) {
			return kitchen.New(s.Name), nil
		},
		Try: []stage.Try{
			{What: "the menu twice: from a kitchen, then from the cache", Command: "go run ./workshop click -n 2"},
			{What: "a request as it reaches a kitchen", Command: "go run ./workshop click https://shop.test:8443/echo"},
		},
	}))
}
