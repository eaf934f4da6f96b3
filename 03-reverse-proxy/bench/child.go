package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"clicktocode.example/03-reverse-proxy/framing"
)

// roleVariable, in the environment, makes this program one of the processes
// that are measured, or the upstreams.
const roleVariable = "BENCH_CHILD"

// assignment is what a child is told on its standard input. It ends when that
// is closed, so also when its parent was killed.
type assignment struct {
	Role      string
	Upstreams []string
	Cert, Key []byte // PEM
	Profile   string // a file
}

// running is a server that was started.
type running struct {
	addrs map[mode]string
	pid   int
	stop  func() error
}

// startChild runs this program in a role, in a process of its own.
func startChild(ctx context.Context, a assignment) (*running, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), roleVariable+"="+a.Role)
	cmd.Stderr = os.Stderr
	stdin, inErr := cmd.StdinPipe()
	stdout, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &running{pid: cmd.Process.Pid, stop: func() error {
		_ = stdin.Close() // it may have ended by itself: Wait tells
		return cmd.Wait()
	}}
	err = json.NewEncoder(stdin).Encode(a)
	if err == nil {
		err = json.NewDecoder(stdout).Decode(&r.addrs)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not start: %w", a.Role, err), r.stop())
	}
	return r, nil
}

// child is main of such a process. It returns what it exits with.
func child(in io.Reader, out io.Writer) int {
	err := func() error {
		lines := bufio.NewReader(in)
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		var a assignment
		if err := json.Unmarshal(line, &a); err != nil {
			return err
		}
		if a.Profile != "" {
			file, err := os.Create(a.Profile)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := pprof.StartCPUProfile(file); err != nil {
				return err
			}
			defer pprof.StopCPUProfile()
		}
		addrs, err := serve(a)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(addrs); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, lines) // its servers end with the process
		return err
	}()
	if err != nil {
		log.Print(err)
		return 1
	}
	return 0
}

// serve starts what a says, and returns where it listens.
func serve(a assignment) (map[mode]string, error) {
	if a.Role == "upstream" {
		addrs := map[mode]string{}
		for i := range upstreamCount {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			go cook(ln)
			addrs[mode(strconv.Itoa(i))] = ln.Addr().String()
		}
		return addrs, nil
	}
	handlers, err := proxies[a.Role](a.Upstreams)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(a.Cert, a.Key)
	if err != nil {
		return nil, err
	}
	addrs := map[mode]string{}
	for m, h := range handlers {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		addrs[m] = ln.Addr().String()
		if m != plain {
			ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
		}
		if a.Role == "ours" {
			ln = guarded{ln}
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
		go func() { log.Print(server.Serve(ln)) }()
	}
	return addrs, nil
}

// guarded has the edge's guard over what is read from each connection.
type guarded struct{ net.Listener }

func (g guarded) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return framing.Guard(c, nil), nil
}

const upstreamCount = 3

// answer is what upstreams say, and so what clients must get: a menu of 1 KB.
var answer = []byte(`{"menu":[` + strings.Repeat(`{"dish":"soup","price":450},`, 35) + strings.Repeat(" ", 34) + `{}]}`)

// countPath asks an upstream how many requests all of them have had.
const countPath = "/count"

var count atomic.Int64

// cook answers each request with the answer, which may be cached below
// /cached/ and nowhere else. It is no server for anything else: it takes no
// content, and reads of a request no more than its path.
func cook(ln net.Listener) {
	head := "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nCache-Control: %s\r\n\r\n%s"
	date := time.Now().UTC().Format(http.TimeFormat)
	live := fmt.Appendf(nil, head, date, len(answer), "no-store", answer)
	cached := fmt.Appendf(nil, head, date, len(answer), "max-age=3600", answer)
	for {
		conn, err := ln.Accept()
		if err != nil {
			log.Print(err)
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 16<<10)
			for n := 0; ; {
				more, err := conn.Read(buf[n:])
				if err != nil {
					return
				}
				n += more
				if !bytes.HasSuffix(buf[:n], headEnd) { // proxies do not pipeline
					continue
				}
				text := live
				switch {
				case bytes.HasPrefix(buf, []byte("GET "+countPath)):
					now := strconv.FormatInt(count.Load(), 10)
					text = fmt.Appendf(nil, head, date, len(now), "no-store", now)
				case bytes.HasPrefix(buf, []byte("GET "+cachedPath)):
					text = cached
					fallthrough
				default:
					count.Add(1)
				}
				if _, err := conn.Write(text); err != nil {
					return
				}
				n = 0
			}
		}()
	}
}
