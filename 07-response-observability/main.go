// Command 07-response-observability is the finished service, live: chapters 1 to 7, in
// one program of many roles. Package stage, of chapter 1, explains the command line;
// beyond that, it makes tokens:
//
//	go run ./07-response-observability -token ada -scope "orders:read orders:write"
package main

import (
	"os"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/07-response-observability/service"
)

func main() {
	if code, asked := guest.Command(os.Args[1:], os.Stdout, os.Stderr); asked {
		os.Exit(code)
	}
	stage.Main(service.New(service.Config{}))
}
