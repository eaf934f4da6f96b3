package answer_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/exercise/answer"
	"clicktocode.example/01-dns-tcp-tls/message"
	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

// What the replies below are made from, by a real server's code.
var shop = zone.MustParse(`
$ORIGIN shop.test.
@          300 SOA   ns hostmaster 1 3600 600 86400 60
@          300 A     192.0.2.1
@          300 A     192.0.2.2
@          300 AAAA  2001:db8::1
www        120 CNAME SHOP.test.
order       30 CNAME www
nowhere     20 CNAME gone
six        300 AAAA  2001:db8::6
seven       20 CNAME six
here        10 CNAME there
there       10 CNAME here
`)

func TestAddresses(t *testing.T) {
	t.Run("finds_all_addresses", func(t *testing.T) {
		got := addresses(t, "shop.test.", dns.TypeA, nil)
		assert.Equal(t, []string{"192.0.2.1", "192.0.2.2"}, texts(got.Addrs), "shop.test. has two A records")
		assert.Equal(t, 300*time.Second, got.TTL, "both may be remembered for 300 s")
		got = addresses(t, "shop.test.", dns.TypeAAAA, nil)
		assert.Equal(t, []string{"2001:db8::1"}, texts(got.Addrs), "asked for AAAA, only AAAA records are an answer")
	})

	t.Run("follows_aliases_to_the_last_name", func(t *testing.T) {
		got := addresses(t, "order.shop.test.", dns.TypeA, nil)
		assert.Equal(t, []string{"192.0.2.1", "192.0.2.2"}, texts(got.Addrs),
			"order is an alias of www, and www of SHOP.test., which is shop.test.: names match in either case (RFC 4343)")
	})

	t.Run("follows_aliases_in_any_order_of_records", func(t *testing.T) {
		got := addresses(t, "order.shop.test.", dns.TypeA, func(m *dns.Message) {
			last := len(m.Answers) - 1
			m.Answers[0], m.Answers[last] = m.Answers[last], m.Answers[0]
		})
		assert.ElementsMatch(t, []string{"192.0.2.1", "192.0.2.2"}, texts(got.Addrs), "the reply's first and last record changed places. An alias may stand behind the record that it leads to: the order of records means nothing (RFC 1034 §3.6)")
	})

	t.Run("takes_the_smallest_TTL_on_the_way", func(t *testing.T) {
		got := addresses(t, "order.shop.test.", dns.TypeA, nil)
		assert.Equal(t, 30*time.Second, got.TTL, "order's alias holds for 30 s, www's for 120 s, the addresses for 300 s: after 30 s the first may be wrong")
	})

	t.Run("takes_no_address_of_another_name", func(t *testing.T) {
		got := addresses(t, "shop.test.", dns.TypeA, func(m *dns.Message) {
			evil := dns.Record{Name: "bank.test.", Type: dns.TypeA, Class: dns.ClassINET, TTL: time.Second, Addr: netip.MustParseAddr("203.0.113.66")}
			m.Answers = append([]dns.Record{evil}, m.Answers...)
			m.ANCount++
			m.Additionals = append(m.Additionals, dns.Record{Name: "shop.test.", Type: dns.TypeA, Class: dns.ClassINET, TTL: time.Second, Addr: netip.MustParseAddr("203.0.113.67")})
		})
		assert.Equal(t, []string{"192.0.2.1", "192.0.2.2"}, texts(got.Addrs),
			"the reply also holds an A record of bank.test., which nobody asked about: believing it is cache poisoning (RFC 5452 §6). And the additional records, where 203.0.113.67 stands, are no answer (RFC 2181 §5.4.1)")
		assert.Equal(t, 300*time.Second, got.TTL, "the records that are none of our business hold for a second: their TTL is none of it either")
	})

	t.Run("takes_no_address_of_another_type_or_class", func(t *testing.T) {
		got := addresses(t, "shop.test.", dns.TypeA, func(m *dns.Message) {
			m.Answers = append(m.Answers,
				dns.Record{Name: "shop.test.", Type: dns.TypeAAAA, Class: dns.ClassINET, TTL: time.Second, Addr: netip.MustParseAddr("2001:db8::1")},
				dns.Record{Name: "shop.test.", Type: dns.TypeA, Class: 3, TTL: time.Second, Addr: netip.MustParseAddr("203.0.113.66")})
			m.ANCount += 2
		})
		assert.Equal(t, []string{"192.0.2.1", "192.0.2.2"}, texts(got.Addrs),
			"asked for shop.test. IN A. The reply's answers also hold an AAAA record of that name (2001:db8::1), and an A record of class 3 (203.0.113.66), another network: only what was asked for is an answer (RFC 1034 §3.7)")
		assert.Equal(t, 300*time.Second, got.TTL, "the two other records hold for a second. What was not used does not count")
	})

	t.Run("says_that_a_name_does_not_exist", func(t *testing.T) {
		got, err := ask(t, "gone.shop.test.", dns.TypeA, nil)
		require.ErrorIs(t, err, dns.ErrNoSuchName, "the server said NXDOMAIN (response code 3): RFC 2308 §2.1")
		assert.Equal(t, 60*time.Second, got.TTL, "a no may be remembered as long as the SOA record's minimum says, 60 s: RFC 2308 §5")
		got, err = ask(t, "nowhere.shop.test.", dns.TypeA, nil)
		require.ErrorIs(t, err, dns.ErrNoSuchName, "the alias exists, the name it leads to does not")
		assert.Equal(t, 20*time.Second, got.TTL, "the alias that led there holds for 20 s")
	})

	t.Run("says_that_a_name_has_no_such_record", func(t *testing.T) {
		got, err := ask(t, "six.shop.test.", dns.TypeA, nil)
		require.ErrorIs(t, err, dns.ErrNoData, "the server said: no error, and no record of that type. The name exists: RFC 2308 §2.2")
		assert.Equal(t, 60*time.Second, got.TTL, "this no, too, holds for the SOA record's minimum")
		got, err = ask(t, "seven.shop.test.", dns.TypeA, nil)
		require.ErrorIs(t, err, dns.ErrNoData, "seven is an alias of six, and six exists, without an A record: the aliases ended, and not in a circle")
		assert.Equal(t, 20*time.Second, got.TTL, "the alias that led there holds for 20 s")
		got, err = ask(t, "six.shop.test.", dns.TypeA, func(m *dns.Message) { m.Authorities = nil })
		require.ErrorIs(t, err, dns.ErrNoData, "the same no, without an SOA record")
		assert.Zero(t, got.TTL, "the TTL beside dns.ErrNoData: without an SOA record nothing says how long the no holds, so it is not remembered: RFC 2308 §5")
	})

	t.Run("tells_a_failing_server_from_a_no", func(t *testing.T) {
		said := map[string]dns.RCode{}
		for _, code := range []dns.RCode{dns.RCodeServerFailure, dns.RCodeRefused, dns.RCodeNotImplemented, dns.RCodeFormatError} {
			got, err := ask(t, "shop.test.", dns.TypeA, func(m *dns.Message) { m.RCode, m.Answers, m.ANCount = code, nil, 0 })
			require.ErrorIs(t, err, dns.ErrServerFailure, "response code %d says nothing about the name; another server may know: RFC 1035 §4.1.1", code)
			assert.NotErrorIs(t, err, dns.ErrNoSuchName, "response code %d is not NXDOMAIN", code)
			assert.Zero(t, got.TTL, "the TTL beside response code %d: a failure is not remembered", code)
			other, taken := said[err.Error()]
			assert.False(t, taken, "the error for response code %d says %q, word for word what that for response code %d says: it names the code, or nobody can tell a server that is down from one that refuses", code, err, other)
			said[err.Error()] = code
		}
	})

	t.Run("refuses_a_reply_to_another_question", func(t *testing.T) {
		for what, change := range map[string]func(*dns.Message){
			"another name":      func(m *dns.Message) { m.Questions[0].Name = "bank.test." },
			"another type":      func(m *dns.Message) { m.Questions[0].Type = dns.TypeAAAA },
			"another class":     func(m *dns.Message) { m.Questions[0].Class = 3 },
			"no question":       func(m *dns.Message) { m.Questions = nil },
			"a query, no reply": func(m *dns.Message) { m.Response = false },
		} {
			_, err := ask(t, "shop.test.", dns.TypeA, change)
			require.ErrorIs(t, err, dns.ErrMismatch, "asked for shop.test. IN A, got a message with %s: RFC 5452 §9.1", what)
		}
		got := addresses(t, "shop.test.", dns.TypeA, func(m *dns.Message) { m.Questions[0].Name = "SHOP.TEST." })
		assert.Equal(t, []string{"192.0.2.1", "192.0.2.2"}, texts(got.Addrs), "asked for shop.test., got a reply about SHOP.TEST.: letter case does not count, so it is the same question (RFC 4343)")
	})

	t.Run("refuses_half_a_reply", func(t *testing.T) {
		_, err := ask(t, "shop.test.", dns.TypeA, func(m *dns.Message) { m.Truncated, m.Answers = true, m.Answers[:1] })
		require.ErrorIs(t, err, dns.ErrTruncated, "TC is set, so what is missing may be the answer: RFC 2181 §9")
	})

	t.Run("ends_on_aliases_that_go_in_circles", func(t *testing.T) {
		q, m := exchange(t, "here.shop.test.", dns.TypeA)
		var err error
		done := make(chan string, 1)
		go func() {
			done <- panics.In(func() { _, err = answer.Addresses(q, m) })
		}()
		select {
		case fault := <-done:
			if fault != "" {
				require.Fail(t, fault, "here is an alias of there, and there of here: Addresses panicked")
			}
			require.ErrorIs(t, err, dns.ErrServerFailure, "here is an alias of there, and there of here: RFC 1034 §3.6.2 says not to loop")
		case <-time.After(time.Second):
			require.FailNow(t, "no end", "here is an alias of there, and there of here: Addresses still follows them after a second")
		}
	})
}

// exchange puts a question to the zone above, and reads the reply.
func exchange(t *testing.T, name string, typ dns.Type) (dns.Question, dns.Message) {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7})
	require.NoError(t, b.StartQuestions())
	require.NoError(t, b.Question(dnsmessage.Question{
		Name: dnsmessage.MustNewName(name), Type: dnsmessage.Type(typ), Class: dnsmessage.ClassINET,
	}))
	query, err := b.Finish()
	require.NoError(t, err)
	reply, err := shop.Reply(query)
	require.NoError(t, err)
	m, err := message.Parse(reply)
	require.NoError(t, err)
	return dns.Question{Name: name, Type: typ, Class: dns.ClassINET}, m
}

// ask lets change have its way with the reply (nil changes nothing), and then
// has Addresses read it.
func ask(t *testing.T, name string, typ dns.Type, change func(*dns.Message)) (got dns.Answer, err error) {
	t.Helper()
	q, m := exchange(t, name, typ)
	if change != nil {
		change(&m)
	}
	fault := panics.In(func() { got, err = answer.Addresses(q, m) })
	if fault != "" {
		require.Fail(t, fault, "asked for %s, Addresses panicked. The reply's header counts %d questions and %d answers, and %d and %d are there: a count in a header is a claim, look at what there is",
			q, m.QDCount, m.ANCount, len(m.Questions), len(m.Answers))
	}
	return got, err
}

// addresses is ask where there must be an answer.
func addresses(t *testing.T, name string, typ dns.Type, change func(*dns.Message)) dns.Answer {
	t.Helper()
	got, err := ask(t, name, typ, change)
	require.NoError(t, err, "asked for %s %s: the server's reply holds an answer", name, typ)
	return got
}

// texts are addresses as a person writes them.
func texts(addrs []netip.Addr) (all []string) {
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return all
}
