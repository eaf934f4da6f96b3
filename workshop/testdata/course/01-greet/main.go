// Command 01-greet greets whoever connects. It keeps the contract between the
// tool and a chapter's main, with the standard library alone.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"clicktocode.example/01-greet/solution/countdown"
	"clicktocode.example/01-greet/solution/hello"
)

type object = map[string]any

func say(v object) {
	line, _ := json.Marshal(v)
	fmt.Println(string(line))
}

func main() {
	describe := flag.Bool("describe", false, "")
	role := flag.String("role", "greeter", "")
	flag.Bool("events", false, "")
	n := flag.Int("n", 1, "")
	flag.Parse()
	addr := os.Getenv("GREET_ADDR")
	switch {
	case *describe:
		say(object{
			"title": "greetings", "url": "http://" + addr + "/",
			"roles": []object{{"name": "greeter", "what": "greets", "addr": addr}},
			"try":   []object{{"what": "say hello", "command": "go run ./workshop click"}},
			"env":   object{"GREET_ADDR": "where it listens"},
		})
	case *role == "click":
		for range *n {
			click(flag.Arg(0))
		}
	default:
		serve(addr)
	}
}

func serve(addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		say(object{"time": time.Now(), "event": "failed", "role": "greeter", "error": err.Error() + ": choose another GREET_ADDR"})
		os.Exit(1)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/die" {
			os.Exit(7)
		}
		say(object{"time": time.Now(), "event": "request", "role": "greeter", "summary": "GET " + r.URL.Path, "us": 5, "detail": object{"pid": fmt.Sprint(os.Getpid())}})
		fmt.Fprintln(w, hello.Language, hello.To("Ada"), countdown.From(3))
	})}
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt)
		ended := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(ended) }()
		select {
		case <-stop:
		case <-ended:
		}
		srv.Close()
	}()
	say(object{"time": time.Now(), "event": "ready", "role": "greeter", "addr": ln.Addr().String()})
	if err := srv.Serve(ln); err != http.ErrServerClosed {
		panic(err)
	}
	say(object{"time": time.Now(), "event": "stopped", "role": "greeter"})
}

func click(url string) {
	began := time.Now()
	res, err := http.Get(url)
	if err != nil {
		say(object{"time": time.Now(), "event": "failed", "role": "click", "error": err.Error()})
		os.Exit(1)
	}
	body, _ := io.ReadAll(res.Body)
	say(object{
		"time": time.Now(), "event": "click", "role": "click", "url": url, "status": res.StatusCode, "proto": res.Proto,
		"reused": false, "resumed": false, "body": string(body),
		"phases": []object{{"name": "wait", "start_us": 0, "us": time.Since(began).Microseconds(), "detail": "the greeter"}},
		"hops":   []object{},
	})
}
