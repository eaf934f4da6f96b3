package message_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/message"
)

const minute = 60

var (
	header = dnsmessage.Header{
		ID: 12345, Response: true, Authoritative: true, RecursionDesired: true, RecursionAvailable: true,
	}
	asked = dnsmessage.Question{Name: dnsmessage.MustNewName("www.shop.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
)

func TestParse(t *testing.T) {
	t.Run("reads_every_section", func(t *testing.T) {
		msg := reply(t)
		got, err := message.Parse(msg)
		require.NoError(t, err)
		assert.Equal(t, dns.Header{
			ID: 12345, Response: true, Authoritative: true, RecursionDesired: true, RecursionAvailable: true,
			QDCount: 1, ANCount: 3, NSCount: 2, ARCount: 1,
		}, got.Header)
		in := dns.ClassINET
		assert.Equal(t, []dns.Question{{Name: "www.shop.test.", Type: dns.TypeA, Class: in}}, got.Questions)
		assert.Equal(t, []dns.Record{
			{Name: "www.shop.test.", Type: dns.TypeCNAME, Class: in, TTL: time.Minute, Target: "shop.test."},
			{Name: "shop.test.", Type: dns.TypeA, Class: in, TTL: time.Minute, Addr: netip.MustParseAddr("192.0.2.1")},
			{Name: "shop.test.", Type: dns.TypeAAAA, Class: in, TTL: time.Minute, Addr: netip.MustParseAddr("2001:db8::1")},
		}, got.Answers)
		assert.Equal(t, []dns.Record{
			{Name: "shop.test.", Type: dns.TypeNS, Class: in, TTL: time.Minute, Target: "ns.shop.test."},
			{Name: "shop.test.", Type: dns.TypeSOA, Class: in, TTL: time.Minute, Minimum: 30 * time.Second},
		}, got.Authorities)
		assert.Equal(t, []dns.Record{
			{Name: "shop.test.", Type: 16, Class: in, TTL: time.Minute},
		}, got.Additionals, "of a type that this package does not know, the common fields are read")
	})

	t.Run("reads_each_flag", func(t *testing.T) {
		for flags, want := range map[string]dns.Header{
			"\x80\x00": {Response: true},
			"\x04\x00": {Authoritative: true},
			"\x02\x00": {Truncated: true},
			"\x01\x00": {RecursionDesired: true},
			"\x00\x80": {RecursionAvailable: true},
			"\x00\x03": {RCode: dns.RCodeNameError},
			"\x78\x70": {}, // opcode, Z, AD, CD
		} {
			got, err := message.Parse([]byte("\x00\x00" + flags + "\x00\x00\x00\x00\x00\x00\x00\x00"))
			require.NoError(t, err)
			assert.Equal(t, want, got.Header, "flags %q", flags)
		}
	})

	t.Run("refuses_a_message_cut_anywhere", func(t *testing.T) {
		msg := reply(t)
		for n := range msg {
			_, err := message.Parse(msg[:n])
			require.ErrorIs(t, err, dns.ErrMalformed, "the first %d octets of %d", n, len(msg))
		}
	})

	t.Run("keeps_what_is_whole_of_a_truncated_message", func(t *testing.T) {
		msg := reply(t)
		msg[2] |= 0x02 // TC
		whole := 0
		for n := 12; n <= len(msg); n++ {
			m, err := message.Parse(msg[:n])
			require.NoError(t, err, "the first %d octets of %d", n, len(msg))
			records := len(m.Answers) + len(m.Authorities) + len(m.Additionals)
			assert.GreaterOrEqual(t, records, whole, "the first %d octets of %d", n, len(msg))
			whole = records
		}
		assert.Equal(t, 6, whole)
		_, err := message.Parse(msg[:11])
		assert.ErrorIs(t, err, dns.ErrMalformed, "less than a header says nothing about itself")
	})

	t.Run("reads_a_TTL_with_its_top_bit_set_as_zero", func(t *testing.T) {
		for ttl, want := range map[uint32]time.Duration{
			0: 0, 1: time.Second, 1<<31 - 1: (1<<31 - 1) * time.Second, 1 << 31: 0, 1<<32 - 1: 0,
		} {
			m, err := message.Parse(record(t, func(b *dnsmessage.Builder, h dnsmessage.ResourceHeader) error {
				h.TTL = ttl
				return b.AResource(h, dnsmessage.AResource{})
			}))
			require.NoError(t, err)
			assert.Equal(t, want, m.Answers[0].TTL, "TTL %d: RFC 2181 §8", ttl)
		}
	})

	t.Run("refuses_data_of_another_length_than_its_type_has", func(t *testing.T) {
		for typ, data := range map[dnsmessage.Type]string{
			dnsmessage.TypeA:     "\xc0\x00\x02",
			dnsmessage.TypeAAAA:  "\xc0\x00\x02\x01",
			dnsmessage.TypeCNAME: "\x04shop\x04test\x00\x00",
			dnsmessage.TypeNS:    "\x04shop\x04test",
			dnsmessage.TypeSOA:   "\x00\x00" + "1111" + "2222" + "3333" + "4444" + "5555" + "6666",
		} {
			_, err := message.Parse(record(t, func(b *dnsmessage.Builder, h dnsmessage.ResourceHeader) error {
				return b.UnknownResource(h, dnsmessage.UnknownResource{Type: typ, Data: []byte(data)})
			}))
			assert.ErrorIs(t, err, dns.ErrMalformed, "a record of %s with the data %q", typ, data)
		}
	})

	t.Run("shares_no_memory_with_the_message", func(t *testing.T) {
		msg := reply(t)
		got, err := message.Parse(msg)
		require.NoError(t, err)
		again, err := message.Parse(msg)
		require.NoError(t, err)
		clear(msg)
		assert.Equal(t, again, got)
		assert.Equal(t, "www.shop.test.", got.Questions[0].Name)
	})

	t.Run("believes_no_count", func(t *testing.T) {
		msg := []byte("\x00\x07\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff")
		m, err := message.Parse(msg)
		require.ErrorIs(t, err, dns.ErrMalformed, "262,140 entries are announced, none is there")
		assert.Empty(t, m.Questions)
		assert.Empty(t, m.Answers)
	})
}

// What this package and dnsmessage both accept, they read alike.
func FuzzParse(f *testing.F) {
	f.Add([]byte("\x30\x39\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x04shop\x04test\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := message.Parse(msg)
		if err != nil {
			require.ErrorIs(t, err, dns.ErrMalformed)
		}
		var witness dnsmessage.Message
		if err != nil || witness.Unpack(msg) != nil {
			return // one of them refuses: data of the wrong length, say, which dnsmessage forgives
		}
		if got.Truncated && len(got.Questions)+len(got.Answers)+len(got.Authorities)+len(got.Additionals) <
			len(witness.Questions)+len(witness.Answers)+len(witness.Authorities)+len(witness.Additionals) {
			return // the same, in a message where it is no error
		}
		h := witness.Header
		assert.Equal(t, dns.Header{
			ID: h.ID, Response: h.Response, Authoritative: h.Authoritative, Truncated: h.Truncated,
			RecursionDesired: h.RecursionDesired, RecursionAvailable: h.RecursionAvailable, RCode: dns.RCode(h.RCode),
			QDCount: uint16(len(witness.Questions)), ANCount: uint16(len(witness.Answers)),
			NSCount: uint16(len(witness.Authorities)), ARCount: uint16(len(witness.Additionals)),
		}, got.Header)
		var questions []dns.Question
		for _, q := range witness.Questions {
			questions = append(questions, dns.Question{Name: q.Name.String(), Type: dns.Type(q.Type), Class: dns.Class(q.Class)})
		}
		assert.Equal(t, questions, got.Questions)
		assert.Equal(t, records(witness.Answers), got.Answers)
		assert.Equal(t, records(witness.Authorities), got.Authorities)
		assert.Equal(t, records(witness.Additionals), got.Additionals)
	})
}

func BenchmarkParse(b *testing.B) {
	msg := reply(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Parse(msg); err != nil {
			b.Fatal(err)
		}
	}
}

// records are what dnsmessage read, in this workshop's terms.
func records(all []dnsmessage.Resource) (out []dns.Record) {
	for _, r := range all {
		rr := dns.Record{Name: r.Header.Name.String(), Type: dns.Type(r.Header.Type), Class: dns.Class(r.Header.Class), TTL: seconds(r.Header.TTL)}
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			rr.Addr = netip.AddrFrom4(body.A)
		case *dnsmessage.AAAAResource:
			rr.Addr = netip.AddrFrom16(body.AAAA)
		case *dnsmessage.CNAMEResource:
			rr.Target = body.CNAME.String()
		case *dnsmessage.NSResource:
			rr.Target = body.NS.String()
		case *dnsmessage.SOAResource:
			rr.Minimum = seconds(body.MinTTL)
		}
		out = append(out, rr)
	}
	return out
}

// seconds is a TTL as RFC 2181 §8 has it.
func seconds(n uint32) time.Duration {
	if n >= 1<<31 {
		return 0
	}
	return time.Duration(n) * time.Second
}

// reply is a message with a record of every type that this package reads, and
// one that it does not, its names compressed.
func reply(t testing.TB) []byte {
	t.Helper()
	name := dnsmessage.MustNewName
	rr := func(owner string) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name(owner), Class: dnsmessage.ClassINET, TTL: minute}
	}
	b := dnsmessage.NewBuilder(nil, header)
	b.EnableCompression()
	for _, err := range []error{
		b.StartQuestions(),
		b.Question(asked),
		b.StartAnswers(),
		b.CNAMEResource(rr("www.shop.test."), dnsmessage.CNAMEResource{CNAME: name("shop.test.")}),
		b.AResource(rr("shop.test."), dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}),
		b.AAAAResource(rr("shop.test."), dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()}),
		b.StartAuthorities(),
		b.NSResource(rr("shop.test."), dnsmessage.NSResource{NS: name("ns.shop.test.")}),
		b.SOAResource(rr("shop.test."), dnsmessage.SOAResource{NS: name("ns.shop.test."), MBox: name("hostmaster.shop.test."), Serial: 1, Refresh: 2, Retry: 3, Expire: 4, MinTTL: 30}),
		b.StartAdditionals(),
		b.TXTResource(rr("shop.test."), dnsmessage.TXTResource{TXT: []string{"dinner"}}),
	} {
		require.NoError(t, err)
	}
	msg, err := b.Finish()
	require.NoError(t, err)
	return msg
}

// record is a reply with the one record that add writes.
func record(t *testing.T, add func(*dnsmessage.Builder, dnsmessage.ResourceHeader) error) []byte {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, header)
	require.NoError(t, b.StartAnswers())
	require.NoError(t, add(&b, dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET}))
	msg, err := b.Finish()
	require.NoError(t, err)
	return msg
}
