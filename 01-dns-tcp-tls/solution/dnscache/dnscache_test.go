package dnscache_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/solution/dnscache"
)

// home is the address of every name here.
const home = "192.0.2.1"

func TestLookup(t *testing.T) {
	t.Run("asks_what_it_does_not_know", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		got, err := lookup(t, c, "shop.test.")
		require.NoError(t, err, "the look-up found an address")
		assert.Equal(t, home, texts(got.Addrs), "the look-up found this address")
		assert.Equal(t, time.Minute, got.TTL.Round(time.Second), "and it may be remembered for a minute")
		assert.Equal(t, []string{"shop.test. IN A"}, s.all(), "these questions were asked")
	})

	t.Run("remembers_an_answer", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		for range 3 {
			got, err := lookup(t, c, "shop.test.")
			require.NoError(t, err, "the look-up found an address")
			assert.Equal(t, home, texts(got.Addrs), "the answer from memory is the answer")
		}
		assert.Equal(t, 1, s.times(), "look-ups: asked three times within the answer's TTL of a minute, the cache asks once")
	})

	t.Run("tells_questions_apart", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		for _, q := range []dns.Question{
			{Name: "shop.test.", Type: dns.TypeA, Class: dns.ClassINET},
			{Name: "SHOP.test.", Type: dns.TypeA, Class: dns.ClassINET},
			{Name: "shop.test.", Type: dns.TypeAAAA, Class: dns.ClassINET},
			{Name: "shop.test.", Type: dns.TypeA, Class: 3},
			{Name: "bank.test.", Type: dns.TypeA, Class: dns.ClassINET},
			{Name: "\u212Aiosk.test.", Type: dns.TypeA, Class: dns.ClassINET}, // a Kelvin sign, which strings.ToLower makes a k
			{Name: "kiosk.test.", Type: dns.TypeA, Class: dns.ClassINET},
		} {
			_, err := lookupQuestion(t, c, q)
			require.NoError(t, err, "the look-up found an address")
		}
		assert.Equal(t, []string{
			"shop.test. IN A", "shop.test. IN AAAA", "shop.test. CLASS3 A", "bank.test. IN A", "\u212Aiosk.test. IN A", "kiosk.test. IN A",
		}, s.all(), "another type, class or name is another question. SHOP.test. is the same name as shop.test.: only the case of ASCII letters does not count (RFC 4343 §3)")
	})

	t.Run("finds_what_was_first_asked_in_capitals", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		for _, name := range []string{"SHOP.test.", "shop.test.", "SHOP.test."} {
			got, err := lookup(t, c, name)
			require.NoError(t, err, "the look-up found an address")
			require.Equal(t, home, texts(got.Addrs), "the address of %s", name)
		}
		assert.Equal(t, 1, s.times(), "look-ups: SHOP.test. was asked for, then shop.test., then SHOP.test. again. Case does not count in names (RFC 4343 §3): keyOf(q) is the key where the answer is stored, too")
	})

	t.Run("forgets_when_the_TTL_is_over", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := &source{answer: found(time.Minute)}
			c := dnscache.New(s.lookup)
			defer c.Close()
			ask(t, c)
			time.Sleep(59 * time.Second)
			ask(t, c)
			assert.Equal(t, 1, s.times(), "look-ups: 59 s later, an answer with a TTL of 60 s still holds, and nothing is asked")
			time.Sleep(2 * time.Second)
			ask(t, c)
			assert.Equal(t, 2, s.times(), "look-ups: 61 s later, an answer with a TTL of 60 s is too old: the name may have moved (RFC 1034 §3.6). If what expires is not the fault, is the first flight, which has landed, still in its map?")
			ask(t, c)
			assert.Equal(t, 2, s.times(), "look-ups: the new answer is remembered in the old one's place")
			time.Sleep(61 * time.Second)
			s.set(fails(0, dns.ErrServerFailure))
			_, err := ask(t, c)
			assert.ErrorIs(t, err, dns.ErrServerFailure, "the answer is too old, and the look-up fails: so does Lookup, which has nothing to say any more")
		})
	})

	t.Run("takes_a_TTL_as_it_is", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			for _, ttl := range []time.Duration{time.Second, 24 * time.Hour} {
				s := &source{answer: found(ttl)}
				c := dnscache.New(s.lookup)
				defer c.Close()
				ask(t, c)
				time.Sleep(ttl - time.Millisecond)
				ask(t, c)
				require.Equal(t, 1, s.times(), "look-ups: an answer with a TTL of %v was asked for again a millisecond before its end. It holds that long, and no shorter", ttl)
				time.Sleep(2 * time.Millisecond)
				ask(t, c)
				require.Equal(t, 2, s.times(), "look-ups: an answer with a TTL of %v was asked for again a millisecond after its end. It holds that long, and no longer: who set it so means to move", ttl)
			}
		})
	})

	t.Run("counts_the_TTL_down", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := &source{answer: found(time.Minute)}
			c := dnscache.New(s.lookup)
			defer c.Close()
			got, _ := ask(t, c)
			assert.Equal(t, time.Minute, got.TTL, "the first answer has its whole TTL")
			time.Sleep(20 * time.Second)
			got, _ = ask(t, c)
			assert.Equal(t, 40*time.Second, got.TTL, "of 60 s, 20 have passed. With the whole TTL again, a cache behind this one would keep the answer too long (RFC 1034 §5.3.3)")
			time.Sleep(20 * time.Second)
			got, _ = ask(t, c)
			assert.Equal(t, 20*time.Second, got.TTL, "of 60 s, 40 have passed: a hit does not make the answer younger")
		})
	})

	for _, tt := range []struct {
		name string
		no   error
	}{
		{"remembers_that_a_name_does_not_exist", dns.ErrNoSuchName},
		{"remembers_that_a_name_has_no_such_record", dns.ErrNoData},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				for _, no := range []struct {
					err error
					why string
				}{
					{tt.no, "a no is remembered for its TTL, here 60 s, and was asked for again after 59 s (RFC 2308 §5)"},
					{fmt.Errorf("gone: %w", tt.no), "the same no, wrapped, as package answer returns it. errors.Is finds what is inside, == does not"},
				} {
					s := &source{answer: fails(time.Minute, no.err)}
					c := dnscache.New(s.lookup)
					defer c.Close()
					_, err := ask(t, c)
					require.ErrorIs(t, err, tt.no, "the look-up's error reaches the caller")
					time.Sleep(59 * time.Second)
					got, err := ask(t, c)
					require.Equal(t, 1, s.times(), "look-ups, whose error was %q: %s", no.err, no.why)
					require.ErrorIs(t, err, tt.no, "from memory too, no is no")
					require.Equal(t, time.Second, got.TTL, "the TTL of a no from memory: of its 60 s, 59 have passed")
					time.Sleep(2 * time.Second)
					_, err = ask(t, c)
					require.ErrorIs(t, err, tt.no, "asked for again after 61 s")
					require.Equal(t, 2, s.times(), "look-ups: after 61 s the no is too old, the name may exist by now")
				}
			})
		})
	}

	t.Run("does_not_remember_a_TTL_of_zero", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := &source{answer: found(0)}
			c := dnscache.New(s.lookup)
			defer c.Close()
			for range 3 {
				got, err := ask(t, c)
				require.NoError(t, err, "the look-up found an address, with a TTL of zero")
				require.Equal(t, home, texts(got.Addrs), "an answer with a TTL of zero is an answer, for whoever asked")
			}
			assert.Equal(t, 3, s.times(), "look-ups: a TTL of zero says: for this transaction only, do not cache (RFC 1035 §3.2.1). Three callers, one after the other in the same instant, are three look-ups")
			s.set(fails(0, dns.ErrNoSuchName))
			for range 2 {
				_, err := ask(t, c)
				require.ErrorIs(t, err, dns.ErrNoSuchName, "the look-up's error reaches the caller")
			}
			assert.Equal(t, 5, s.times(), "look-ups, 2 more: a no with a TTL of zero came without an SOA record: it is not remembered either (RFC 2308 §5)")
		})
	})

	for _, tt := range []struct {
		name    string
		failure error
	}{
		{"does_not_remember_a_failing_server", fmt.Errorf("response code 2: %w", dns.ErrServerFailure)},
		{"does_not_remember_any_other_failure", errors.New("the network is unreachable")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := &source{answer: fails(time.Minute, tt.failure)}
				c := dnscache.New(s.lookup)
				defer c.Close()
				_, err := ask(t, c)
				require.ErrorIs(t, err, tt.failure, "the look-up's error reaches the caller")
				s.set(found(time.Minute))
				got, err := ask(t, c)
				require.NoError(t, err, "the first look-up failed, and the next caller got that failure again. It says nothing about the name, so it is never remembered: the server may be back by now")
				assert.Equal(t, home, texts(got.Addrs), "the second look-up found this address")
			})
		})
	}

	t.Run("gives_each_caller_its_own_slice", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		for caller := range 3 {
			got, err := lookup(t, c, "shop.test.")
			require.NoError(t, err, "the look-up found an address")
			require.Equal(t, home, texts(got.Addrs), "caller %d; the one before wrote another address into the slice that it got, and the cache gave that to the next: return a copy", caller)
			got.Addrs[0] = netip.MustParseAddr("203.0.113.66")
		}
	})

	t.Run("makes_one_look_up_for_a_thousand_callers", func(t *testing.T) {
		const callers = 1000
		s := &source{answer: found(time.Minute), gate: make(chan struct{}), entered: make(chan struct{}, callers)}
		c := cache(t, s.lookup)
		defer s.open()
		arrived := make(chan struct{}, callers)
		var running []<-chan outcome
		for range callers {
			ctx := &watched{Context: t.Context(), arrived: arrived}
			running = append(running, start(ctx, c, question("shop.test.")))
		}
		// The answer comes when all wait for it, or a second look-up was made.
		patience := time.After(500 * time.Millisecond)
		for here, asked, waiting := 0, 0, true; waiting && here < callers && asked < 2; {
			select {
			case <-arrived:
				here++
			case <-s.entered:
				asked++
			case <-patience:
				waiting = false // nothing can be seen of how this cache waits
			}
		}
		s.open()
		for _, r := range running {
			got := wait(t, r, "the server has answered, and one of a thousand callers for the same name still waits")
			require.NoError(t, got.err, "the look-up found an address, and each of the thousand gets it")
			require.Equal(t, home, texts(got.answer.Addrs), "each of the thousand gets the answer")
		}
		assert.Equal(t, 1, s.times(), "look-ups: a thousand callers asked for the same name while nothing was known: one look-up is enough, the others wait for its answer")
	})

	t.Run("gives_each_of_those_who_wait_its_own_slice", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		defer s.open()
		s.hold("shop.test.")
		first := start(t.Context(), c, question("shop.test."))
		asking(t, s.entered, first)
		second := join(t, c, question("shop.test."))
		s.open()
		one := wait(t, first, "the server has answered, and the first caller still waits").answer
		other := wait(t, second, "the server has answered, and the second caller still waits").answer
		require.Equal(t, home, texts(one.Addrs), "two callers waited for one look-up: the answer of the first")
		require.Equal(t, home, texts(other.Addrs), "two callers waited for one look-up: the answer of the second")
		one.Addrs[0] = netip.MustParseAddr("203.0.113.66")
		assert.Equal(t, home, texts(other.Addrs), "two callers waited for one look-up. The first wrote another address into the slice that it got, and this is the slice of the second: give each a copy of its own")
	})

	t.Run("remembers_before_it_tells_those_who_wait", func(t *testing.T) {
		no := &slowNo{looked: make(chan struct{}, 1), gate: make(chan struct{})}
		open := sync.OnceFunc(func() { close(no.gate) })
		defer open()
		s := &source{answer: fails(time.Minute, no)}
		c := cache(t, s.lookup)
		caller := start(t.Context(), c, question("gone.test."))
		asking(t, no.looked, caller)
		select {
		case got := <-caller:
			require.Fail(t, "too early", "the look-up said no, and whether that may be stored was still being found out (errors.Is was running) when the caller already had the answer, with the error %v. Who asks again at once then joins a look-up that has landed, or makes another one: close done last", got.err)
		case <-time.After(30 * time.Millisecond):
		}
		open()
		got := wait(t, caller, "the look-up has returned, and its caller still waits")
		require.ErrorIs(t, got.err, dns.ErrNoSuchName, "the look-up's error reaches the caller")
		_, err := lookup(t, c, "gone.test.")
		require.ErrorIs(t, err, dns.ErrNoSuchName, "from memory too, no is no")
		assert.Equal(t, 1, s.times(), "look-ups: asked again as soon as the first caller had its answer, it comes from memory")
	})

	t.Run("does_not_hold_up_another_name", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		defer s.open()
		_, err := lookup(t, c, "known.test.")
		require.NoError(t, err, "the look-up of known.test. found an address")
		s.hold("slow.test.")
		slow := start(t.Context(), c, question("slow.test."))
		asking(t, s.entered, slow)
		for _, name := range []string{"fast.test.", "known.test."} {
			got := wait(t, start(t.Context(), c, question(name)),
				"the server of slow.test. takes its time, and "+name+" has to wait for it: a lock is held while asking")
			require.NoError(t, got.err, "the look-up of %s found an address", name)
			assert.Equal(t, home, texts(got.answer.Addrs), "the address of %s", name)
		}
		s.open()
		got := wait(t, slow, "the server of slow.test. has answered, and its caller still waits")
		assert.Equal(t, home, texts(got.answer.Addrs), "the address of slow.test.")
	})

	t.Run("stops_nobody_when_the_first_caller_leaves", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		defer s.open()
		s.hold("shop.test.")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first := start(ctx, c, question("shop.test."))
		asking(t, s.entered, first)
		second := join(t, c, question("shop.test."))
		cancel()
		got := wait(t, first, "its context was cancelled, and it still waits for the look-up")
		require.ErrorIs(t, got.err, context.Canceled, "a caller whose context ends leaves, with the context's error")
		s.open()
		got = wait(t, second, "the server has answered, and the second caller still waits")
		require.NoError(t, got.err, "two callers wait for one look-up, and the first one leaves: that must not end the look-up of the other. It needs a context of its own")
		assert.Equal(t, home, texts(got.answer.Addrs), "the second caller's answer")
	})

	t.Run("lets_a_caller_leave_at_once", func(t *testing.T) {
		s := &source{answer: found(time.Minute)}
		c := cache(t, s.lookup)
		defer s.open()
		s.hold("shop.test.")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		leaver := start(ctx, c, question("shop.test."))
		asking(t, s.entered, leaver)
		cancel()
		got := wait(t, leaver, "its context was cancelled, and it still waits for the look-up")
		require.ErrorIs(t, got.err, context.Canceled, "a caller whose context ends leaves, with the context's error")
		s.open()
		after := wait(t, start(t.Context(), c, question("shop.test.")), "the server has answered, and the caller still waits")
		require.NoError(t, after.err, "the look-up found an address")
		assert.Equal(t, 1, s.times(), "look-ups: the one caller left, and its look-up went on: the next caller gets that answer")
	})

	t.Run("tells_a_failure_to_all_who_wait", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			s := &source{answer: fails(time.Minute, dns.ErrServerFailure)}
			s.hold("shop.test.")
			c := dnscache.New(s.lookup)
			defer c.Close()
			defer s.open()
			callers := []<-chan outcome{start(t.Context(), c, question("shop.test.")), start(t.Context(), c, question("shop.test."))}
			synctest.Wait()
			s.open()
			for _, caller := range callers {
				got := wait(t, caller, "the look-up has failed, and a caller still waits")
				require.ErrorIs(t, got.err, dns.ErrServerFailure, "two callers waited for one look-up, and it failed: both get its error")
			}
			assert.Equal(t, 1, s.times(), "look-ups: two callers waited for one, and it failed. If each of a thousand who wait then asks again, the server that is in trouble gets a thousand queries")
		})
	})

	t.Run("ends_a_look_up_that_takes_too_long", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c := dnscache.New(func(ctx context.Context, _ dns.Question) (dns.Answer, error) {
				select {
				case <-ctx.Done():
					return dns.Answer{}, ctx.Err()
				case <-time.After(100 * dnscache.Timeout):
					return dns.Answer{}, errors.New("the look-up's context never ended")
				}
			})
			defer c.Close()
			began := time.Now()
			_, err := ask(t, c)
			require.ErrorIs(t, err, context.DeadlineExceeded, "the server never answers, and the caller has all the time in the world: the look-up's own context ends after Timeout")
			assert.Equal(t, dnscache.Timeout, time.Since(began), "it ends after Timeout")
		})
	})

	t.Run("gives_no_place_to_what_it_must_not_remember", func(t *testing.T) {
		const names = dnscache.MaxEntries
		s := &source{answer: found(time.Hour)}
		c := cache(t, s.lookup)
		name := func(i int) string { return fmt.Sprintf("%d.test.", i) }
		for i := range names {
			_, err := lookup(t, c, name(i))
			require.NoError(t, err, "the look-up of %s found an address", name(i))
		}
		require.Equal(t, names, s.times(), "look-ups: so many names were asked for, each once")
		for what, answer := range map[string]func() (dns.Answer, error){
			"an answer with a TTL of zero": found(0),
			"a no with a TTL of zero":      fails(0, dns.ErrNoSuchName),
			"a failure":                    fails(time.Hour, dns.ErrServerFailure),
		} {
			s.set(answer)
			_, _ = lookup(t, c, "passing.test.")
			s.set(found(time.Hour))
			before := s.times()
			for i := range names {
				_, err := lookup(t, c, name(i))
				require.NoError(t, err, "%s is remembered, or found anew", name(i))
			}
			require.Equal(t, 0, s.times()-before, "look-ups: the cache was full, of MaxEntries good answers. Then came %s, which must not be stored, and one of the good ones had to make room for it", what)
		}
	})

	t.Run("remembers_no_more_than_MaxEntries", func(t *testing.T) {
		const names = 2 * dnscache.MaxEntries
		s := &source{answer: found(time.Hour)}
		c := cache(t, s.lookup)
		name := func(i int) string { return fmt.Sprintf("%d.test.", i) }
		for i := range names {
			got, err := lookup(t, c, name(i))
			require.NoError(t, err, "the look-up of %s found an address", name(i))
			require.Equal(t, home, texts(got.Addrs), "the address of %s", name(i))
		}
		_, _ = lookup(t, c, name(names-1))
		assert.Equal(t, names, s.times(), "look-ups: %d names were asked for, the last one twice, and that one is remembered", names)
		for i := range names {
			_, _ = lookup(t, c, name(i))
		}
		assert.GreaterOrEqual(t, s.times(), 2*names-dnscache.MaxEntries,
			"look-ups: %d names were asked for twice, and the memory holds MaxEntries, %d: the other names must be asked for again. Is every entry stored by storeLocked?", names, dnscache.MaxEntries)
	})
}

func TestClose(t *testing.T) {
	t.Run("ends_look_ups_under_way_and_waits_for_them", func(t *testing.T) {
		entered, noticed, hold := make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
		release := sync.OnceFunc(func() { close(hold) })
		defer release()
		c := dnscache.New(func(ctx context.Context, _ dns.Question) (dns.Answer, error) {
			entered <- struct{}{}
			select {
			case <-ctx.Done():
				noticed <- struct{}{}
			case <-hold:
			}
			<-hold
			return dns.Answer{}, ctx.Err()
		})
		caller := start(t.Context(), c, question("shop.test."))
		asking(t, entered, caller)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.Close()
		}()
		receive(t, noticed, "the cache was closed, and the look-up under way did not notice: its context comes from c.ctx")
		select {
		case <-closed:
			assert.Fail(t, "left behind", "Close has returned, and the look-up is still running: who starts a goroutine waits for it (c.running.Go)")
		case <-time.After(30 * time.Millisecond):
		}
		release()
		receive(t, closed, "the look-up has returned, and Close still waits")
		got := wait(t, caller, "the look-up has returned, and its caller still waits")
		assert.ErrorIs(t, got.err, context.Canceled, "who still waits gets the look-up's error")
	})
}

func BenchmarkHit(b *testing.B) {
	c := dnscache.New((&source{answer: found(time.Hour)}).lookup)
	defer c.Close()
	q := question("shop.test.")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Lookup(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}

// source is where the cache asks: it counts, and can be made to wait.
type source struct {
	gate    chan struct{} // nil, or what a look-up waits for
	entered chan struct{} // unless nil, told of each look-up
	held    string        // unless empty, the only name that waits
	opened  sync.Once

	mu     sync.Mutex // guards what follows
	answer func() (dns.Answer, error)
	asked  []string
}

func (s *source) lookup(ctx context.Context, q dns.Question) (dns.Answer, error) {
	s.mu.Lock()
	s.asked = append(s.asked, q.String())
	answer := s.answer
	s.mu.Unlock()
	if s.gate != nil && (s.held == "" || s.held == q.Name) {
		s.entered <- struct{}{}
		select {
		case <-s.gate:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			return dns.Answer{}, err
		}
	}
	return answer()
}

// hold makes the look-ups of name wait, until open. No look-up may be running.
func (s *source) hold(name string) {
	s.gate, s.entered, s.held = make(chan struct{}), make(chan struct{}, 10), name
}

// open lets all look-ups go on.
func (s *source) open() {
	if s.gate != nil {
		s.opened.Do(func() { close(s.gate) })
	}
}

func (s *source) set(answer func() (dns.Answer, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// all is what was asked so far.
func (s *source) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// times is how often something was asked so far.
func (s *source) times() int { return len(s.all()) }

// found is an answer that holds for ttl.
func found(ttl time.Duration) func() (dns.Answer, error) {
	return func() (dns.Answer, error) {
		return dns.Answer{Addrs: []netip.Addr{netip.MustParseAddr(home)}, TTL: ttl}, nil
	}
}

// texts shows addresses.
func texts(addrs []netip.Addr) string {
	var all []string
	for _, addr := range addrs {
		all = append(all, addr.String())
	}
	return strings.Join(all, " ")
}

// fails is err, beside ttl.
func fails(ttl time.Duration, err error) func() (dns.Answer, error) {
	return func() (dns.Answer, error) { return dns.Answer{TTL: ttl}, err }
}

// slowNo is a dns.ErrNoSuchName that errors.Is takes its time to know.
type slowNo struct {
	looked chan struct{} // told when errors.Is first asks
	gate   chan struct{} // what it waits for
}

func (*slowNo) Error() string { return "gone: no such name" }

func (e *slowNo) Is(target error) bool {
	select {
	case e.looked <- struct{}{}:
	default:
	}
	<-e.gate
	return target == dns.ErrNoSuchName
}

// watched is a context that tells when somebody first waits for its end.
type watched struct {
	context.Context
	arrived chan<- struct{}
	told    atomic.Bool
}

func (w *watched) Done() <-chan struct{} {
	if !w.told.Swap(true) {
		w.arrived <- struct{}{}
	}
	return w.Context.Done()
}

// outcome is what a call came to.
type outcome struct {
	answer dns.Answer
	err    error
}

// start calls Lookup, and sends what it comes to.
func start(ctx context.Context, c *dnscache.Cache, q dns.Question) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		answer, err := c.Lookup(ctx, q)
		done <- outcome{answer, err}
	}()
	return done
}

// join is start for one more caller, who waits when join returns, as far as that
// can be seen.
func join(t *testing.T, c *dnscache.Cache, q dns.Question) <-chan outcome {
	t.Helper()
	arrived := make(chan struct{}, 1)
	running := start(&watched{Context: t.Context(), arrived: arrived}, c, q)
	select {
	case <-arrived:
	case <-time.After(500 * time.Millisecond): // nothing can be seen of how this cache waits
	}
	return running
}

// wait is the outcome, which must not be long in coming.
func wait(t *testing.T, running <-chan outcome, why string) outcome {
	t.Helper()
	return receive(t, running, why)
}

// asking waits until the look-up that caller started is under way.
func asking(t *testing.T, entered <-chan struct{}, caller <-chan outcome) {
	t.Helper()
	select {
	case <-entered:
	case got := <-caller:
		require.FailNow(t, "not asked", "nothing is known of the name, and the caller got %+v, error %v, without a look-up", got.answer, got.err)
	case <-time.After(time.Second):
		require.FailNow(t, "not asked", "nothing is known of the name, and a second later no look-up is under way")
	}
}

// receive takes what comes out of c, which must not be long in coming.
func receive[T any](t *testing.T, c <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Second):
		require.FailNow(t, "no end", "after a second: %s", why)
	}
	return v
}

// cache is a cache that is closed when the test ends.
func cache(t *testing.T, l dnscache.Lookup) *dnscache.Cache {
	t.Helper()
	c := dnscache.New(l)
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.Close()
		}()
		receive(t, closed, "Close has not returned, and no look-up should be under way")
	})
	return c
}

func question(name string) dns.Question {
	return dns.Question{Name: name, Type: dns.TypeA, Class: dns.ClassINET}
}

// lookup asks for the addresses of name, which must not take long.
func lookup(t *testing.T, c *dnscache.Cache, name string) (dns.Answer, error) {
	t.Helper()
	return lookupQuestion(t, c, question(name))
}

func lookupQuestion(t *testing.T, c *dnscache.Cache, q dns.Question) (dns.Answer, error) {
	t.Helper()
	got := wait(t, start(t.Context(), c, q), "Lookup("+q.String()+") has not returned, and the server has answered")
	return got.answer, got.err
}

// ask asks for the addresses of shop.test., inside a bubble.
func ask(t *testing.T, c *dnscache.Cache) (dns.Answer, error) {
	t.Helper()
	return c.Lookup(t.Context(), question("shop.test."))
}

// bubble runs f where time is at its command (testing/synctest). A lock that is
// not given back would hang a bubble for ever, so a clock outside watches.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		fault := ""
		defer func() { ended <- fault }() // also where f failed, and this goroutine with it
		fault = panics.In(func() { synctest.Test(t, f) })
	}()
	select {
	case fault := <-ended:
		if fault != "" {
			require.Fail(t, fault, "Lookup waits for something that never comes: does every way out of a look-up tell those who wait?")
		}
	case <-time.After(time.Second):
		require.FailNow(t, "no end", "Lookup has not returned after a second: is there a way out that does not unlock?")
	}
}
