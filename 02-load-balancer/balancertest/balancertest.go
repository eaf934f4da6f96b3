// Package balancertest asks a load balancer, from outside, for what people rely
// on in one. It takes any: ours, HAProxy and nginx pass the same suite, which
// proves that it asks for nothing odd, and a new one is held against all three.
//
// Everything is real: backends and clients with sockets, and between them the
// balancer, a process of its own if need be. Nothing waits for a fixed time.
// What takes a while (a check's interval, a timeout) is a condition with a
// deadline that a busy machine can meet.
//
// Where a balancer does something else by choice, the caller says so, with the
// reason. That is a list worth reading: it is what the products differ in.
//
// Source: RFC 9110 and RFC 9112 on what a proxy must do; faults that users have
// reported, of which each case names one or a rule.
package balancertest

import (
	"fmt"
	"testing"
	"time"
)

// Run holds a balancer for HTTP against the suite. start starts one in front of
// backends ("host:port"), and returns where it listens, once it does; it sees
// by t.Cleanup to its end. It is called for each case. What it starts:
//
//   - speaks HTTP/1.1 in the clear, with clients and with backends;
//   - gives the backends turns, each as many;
//   - asks each for GET /healthz, as often as it can: 200 is well;
//   - tries another backend, up to three, where that is safe;
//   - gives a backend about two seconds for each piece of an answer, the first
//     one above all;
//   - passes what it gets at once, both ways, however large.
//
// skip has a reason for each case, by its name, that the balancer fails by its
// own choice. Such a case is run all the same, and must fail: otherwise the
// entry is out of date.
//
// The cases run in parallel.
func Run(t *testing.T, start func(t testing.TB, backends []string) (addr string), skip map[string]string) {
	run(t, overHTTP, skip, func(t tester, c httpCase) { c.run(&bench{t, start}) })
}

// RunTCP is Run for a balancer at layer 4, which joins connections and opens
// nothing. What start starts:
//
//   - gives the backends turns, each as many;
//   - connects to each, as often as it can, to find out whether it is there;
//   - tries another backend, up to three, if it cannot connect;
//   - with proxyHeader begins each connection with a PROXY header of version 2;
//   - cuts nothing that idles for less than ten seconds.
func RunTCP(t *testing.T, start func(t testing.TB, backends []string, proxyHeader bool) (addr string), skip map[string]string) {
	run(t, overTCP, skip, func(t tester, c tcpCase) { c.run(&tcpBench{t, start}) })
}

// named is a case's name, and why it is asked for.
type named struct{ name, rule string }

func (n named) id() named { return n }

func run[C interface{ id() named }](t *testing.T, cases []C, skip map[string]string, perform func(tester, C)) {
	known := map[string]bool{}
	for _, c := range cases {
		known[c.id().name] = true
		t.Run(c.id().name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if t.Failed() {
					t.Log("The rule: ", c.id().rule)
				}
			}()
			reason, skipped := skip[c.id().name]
			if !skipped {
				perform(strict{t}, c)
				return
			}
			attempt := &trial{TB: t}
			attempt.run(func() { perform(attempt, c) })
			if !attempt.failed {
				t.Errorf("it passes, and is said to fail by choice, since %q: take it off the list", reason)
				return
			}
			t.Logf("fails by choice: %s. (%s)", reason, attempt.first)
		})
	}
	for name := range skip {
		if !known[name] {
			t.Errorf("balancertest: there is no case %q to skip", name)
		}
	}
}

// tester is a test, and how long a condition in it may take to come true.
type tester interface {
	testing.TB
	patience() time.Duration
}

// strict is a test that is to pass, on a busy machine, too.
type strict struct{ testing.TB }

func (strict) patience() time.Duration { return 25 * time.Second }

// trial is a test that is to fail. It does not wait long for what never comes.
type trial struct {
	testing.TB
	failed bool
	first  string // what went wrong first
}

func (*trial) patience() time.Duration { return 3 * time.Second }

// over is what ends a trial, in place of the test.
type over struct{}

func (a *trial) run(f func()) {
	defer func() {
		if p := recover(); p != nil && p != (over{}) {
			panic(p)
		}
	}()
	f()
}

func (a *trial) note(text string) {
	if !a.failed {
		a.failed, a.first = true, text
	}
}

func (a *trial) Fail()                     { a.note("failed") }
func (a *trial) Failed() bool              { return a.failed }
func (a *trial) FailNow()                  { a.Fail(); panic(over{}) }
func (a *trial) Error(args ...any)         { a.note(fmt.Sprint(args...)) }
func (a *trial) Errorf(f string, v ...any) { a.note(fmt.Sprintf(f, v...)) }
func (a *trial) Fatal(args ...any)         { a.Error(args...); panic(over{}) }
func (a *trial) Fatalf(f string, v ...any) { a.Errorf(f, v...); panic(over{}) }
