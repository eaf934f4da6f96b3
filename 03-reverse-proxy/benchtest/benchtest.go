//go:build unix

// Package benchtest is what the chapter's benchmarks have in common: a server behind
// the proxy that costs next to nothing, and what the process has cost.
package benchtest

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// End is how the Upstream's answer ends. It stands nowhere before.
const End = "x\n"

// Size is the length of that body, in octets.
const Size = 1024

// Upstream is a server that answers whatever arrives in one piece with Size octets
// that no cache keeps. It ends with the test.
func Upstream(tb testing.TB) (addr string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Sat, 01 Aug 2026 12:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(Size) + "\r\nCache-Control: no-store\r\n\r\n" + strings.Repeat("x", Size-1) + "\n")
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var buf [4096]byte
				for {
					if _, err := conn.Read(buf[:]); err != nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// ReportCPU reports what the process, client and upstream included, has used an
// iteration since the call of ReportCPU: defer the function that it returns.
func ReportCPU(b *testing.B) func() {
	before := cpu()
	return func() { b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op") }
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Buffers is a BufferPool for httputil.ReverseProxy, as a tuned one has it.
type Buffers struct{ pool sync.Pool }

// Get returns 32 KiB.
func (b *Buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

// Put takes back what Get returned.
func (b *Buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
