package query_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/message"
	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/01-dns-tcp-tls/solution/query"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

// header is how many bytes stand before the question: RFC 1035 §4.1.1.
const header = 12

func TestBuild(t *testing.T) {
	t.Run("starts_with_the_ID", func(t *testing.T) {
		for _, id := range []uint16{12345, 7, 0xFF00} {
			msg := build(t, id, question("shop.test."))
			assert.Equal(t, spaced([]byte{byte(id >> 8), byte(id)}), spaced(part(msg, 0, 2)),
				`Build(%d, "shop.test."): the query must begin with its ID in two bytes, the high byte first: RFC 1035 §4.1.1`, id)
		}
	})

	t.Run("asks_for_recursion_and_sets_no_other_flag", func(t *testing.T) {
		for _, id := range []uint16{0, 12345, 0xFFFF} {
			msg := build(t, id, question("shop.test."))
			assert.Equal(t, "01 00", spaced(part(msg, 2, 4)),
				"bytes 2 and 3 are the flags (the ID is %d). Only RD is set, the lowest bit of byte 2: the others belong to replies, or are reserved and must be zero: RFC 1035 §4.1.1", id)
		}
	})

	t.Run("counts_one_question", func(t *testing.T) {
		msg := build(t, 7, question("shop.test."))
		assert.Equal(t, "00 01 00 00 00 00 00 00", spaced(part(msg, 4, header)),
			"bytes 4 to 11 are four counts of two bytes: 1 question, no answers, no authorities, no additionals: RFC 1035 §4.1.1")
	})

	t.Run("writes_each_label_behind_its_length", func(t *testing.T) {
		for _, tt := range []struct{ name, want string }{
			{"test.", "\x04test\x00"},
			{"shop.test.", "\x04shop\x04test\x00"},
			{"www.shop.test.", "\x03www\x04shop\x04test\x00"},
		} {
			msg := build(t, 7, question(tt.name))
			assert.Equal(t, spaced([]byte(tt.want)), spaced(part(msg, header, header+len(tt.want))),
				"from byte 12 on, the name %q must be %q: each label stands behind a byte with its length, no dot is sent, a zero ends the name: RFC 1035 §3.1", tt.name, tt.want)
		}
	})

	t.Run("ends_with_type_and_class", func(t *testing.T) {
		for _, tt := range []struct {
			typ   dns.Type
			class dns.Class
			want  string
		}{
			{dns.TypeA, dns.ClassINET, "00 01 00 01"},
			{dns.TypeAAAA, dns.ClassINET, "00 1c 00 01"},
			{0x0102, 3, "01 02 00 03"},
			{0, 0, "00 00 00 00"},
		} {
			msg := build(t, 7, dns.Question{Name: "shop.test.", Type: tt.typ, Class: tt.class})
			assert.Equal(t, tt.want, spaced(part(msg, len(msg)-4, len(msg))),
				"the last four bytes are the question's type, %d, and its class, %d, two bytes each, as they were given, zero too: RFC 1035 §4.1.2", tt.typ, tt.class)
		}
	})

	t.Run("takes_a_name_with_or_without_its_trailing_dot", func(t *testing.T) {
		const want = "\x04shop\x04test\x00\x00\x01\x00\x01"
		for _, name := range []string{"shop.test.", "shop.test"} {
			msg := build(t, 7, question(name))
			assert.Equal(t, spaced([]byte(want)), spaced(part(msg, header, len(msg))),
				`the bytes from 12 on, for the name %q. "shop.test." and "shop.test" are the same name here: what stands behind the last dot is the root, and that is the zero which is there anyway`, name)
		}
	})

	t.Run("writes_the_whole_query", func(t *testing.T) {
		msg := build(t, 12345, question("shop.test."))
		assert.Equal(t,
			"30 39 01 00 00 01 00 00 00 00 00 00 04 73 68 6f 70 04 74 65 73 74 00 00 01 00 01",
			spaced(msg), "the query for shop.test. IN A with the ID 12345, as the package comment lays it out")
	})

	t.Run("writes_the_root_as_one_zero", func(t *testing.T) {
		msg := build(t, 7, dns.Question{Name: ".", Type: dns.TypeNS, Class: dns.ClassINET})
		assert.Equal(t, "00 00 02 00 01", spaced(part(msg, header, len(msg))),
			`the bytes from 12 on. The name "." has no labels: one zero, then type NS and class IN: RFC 1035 §3.1`)
	})

	t.Run("keeps_letters_as_they_are", func(t *testing.T) {
		msg := build(t, 7, question("Shop.TEST."))
		assert.Equal(t, "\x04Shop\x04TEST\x00", string(part(msg, header, header+11)),
			"case does not count when names are compared, and is kept all the same: RFC 4343 §4")
	})

	t.Run("writes_bytes_that_are_no_letters_as_they_are", func(t *testing.T) {
		const name, want = "_tcp.b\xc3\xbc cher.", "\x04_tcp\x08b\xc3\xbc cher\x00"
		msg := build(t, 7, question(name))
		assert.Equal(t, spaced([]byte(want)), spaced(part(msg, header, header+len(want))),
			"the bytes from 12 on, for the name %q. A label may hold any byte, and a length counts bytes, not characters: RFC 2181 §11", name)
	})

	t.Run("gives_each_caller_a_slice_of_its_own", func(t *testing.T) {
		first := build(t, 12345, question("shop.test."))
		build(t, 7, question("bank.test."))
		assert.Equal(t, "\x04shop\x04test\x00", string(part(first, header, header+11)),
			"the name in the query for shop.test., after another query was built, for bank.test.: the slice is the caller's, so no later call may write into it")
	})

	t.Run("is_read_by_dnsmessage", func(t *testing.T) {
		msg := build(t, 12345, question("www.shop.test"))
		var m dnsmessage.Message
		require.NoError(t, m.Unpack(msg), "golang.org/x/net/dns/dnsmessage cannot read the query % x", msg)
		assert.Equal(t, dnsmessage.Header{ID: 12345, RecursionDesired: true}, m.Header, "the header, as golang.org/x/net/dns/dnsmessage reads it")
		assert.Equal(t, []dnsmessage.Question{{
			Name: dnsmessage.MustNewName("www.shop.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}}, m.Questions, "the question, as golang.org/x/net/dns/dnsmessage reads it")
	})

	t.Run("is_answered_by_a_real_server", func(t *testing.T) {
		shop := zone.MustParse("$ORIGIN shop.test.\n@ 300 SOA ns hostmaster 1 3600 600 86400 60\n@ 300 A 192.0.2.1\n")
		msg := build(t, 12345, question("shop.test"))
		h, q, err := zone.Read(msg)
		require.NoError(t, err, "github.com/miekg/dns cannot read the query % x", msg)
		assert.Equal(t, dns.Header{ID: 12345, RecursionDesired: true, QDCount: 1}, h, "the header, as github.com/miekg/dns reads it")
		assert.Equal(t, question("shop.test."), q, "the question, as github.com/miekg/dns reads it")
		reply, err := shop.Reply(msg)
		require.NoError(t, err, "the server cannot read the query % x", msg)
		m, err := message.Parse(reply)
		require.NoError(t, err, "the server's reply to the query % x", msg)
		require.Len(t, m.Answers, 1, "the server's zone, the names that it answers for, holds one address of shop.test., and this query must find it")
		assert.Equal(t, uint16(12345), m.ID, "the server's reply carries the query's ID")
	})

	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		name, bad, why, good string
	}{
		{
			"refuses_an_empty_name",
			"", `no name is not the root: that is "."`, ".",
		}, {
			"refuses_an_empty_label_in_the_middle",
			"shop..test.", "the zero of an empty label would end the name behind shop, and the rest would be read as type and class", "shop.test.",
		}, {
			"refuses_an_empty_label_at_the_start",
			".shop.test.", "an empty label stands before the first dot", "shop.test.",
		}, {
			"refuses_an_empty_label_at_the_end",
			"shop.test..", "one trailing dot is the root, two make an empty label", "shop.test.",
		}, {
			"refuses_a_name_of_two_dots",
			"..", "between the dots is an empty label", ".",
		}, {
			"refuses_labels_over_63_bytes",
			long + "a.test.", "the label is 64 bytes long, and a length byte holds up to 63: its top two bits mean something else: RFC 1035 §2.3.4", long + ".test.",
		}, {
			"refuses_labels_over_63_bytes_of_fewer_characters",
			strings.Repeat("\u00fc", 32) + ".test.", "the label is 32 characters long, and 64 bytes: the limit of 63 is one of bytes: RFC 1035 §2.3.4", strings.Repeat("\u00fc", 31) + ".test.",
		}, {
			"refuses_labels_that_wrap_the_length_byte",
			strings.Repeat("a", 260) + ".test.", "the label is 260 bytes long, which does not fit a byte: cut to 8 bits it is 4: RFC 1035 §2.3.4", long + ".test.",
		}, {
			"refuses_names_over_255_bytes",
			strings.Join([]string{long, long, long, long[:62]}, "."),
			"with its length bytes and the zero this name is 256 bytes on the wire, and 255 is the limit: RFC 1035 §2.3.4",
			strings.Join([]string{long, long, long, long[:61]}, "."),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			build(t, 7, question(tt.good))
			msg, err := call(t, 7, question(tt.bad))
			switch {
			case err == nil:
				t.Fatalf("Build(7, %s) gave no error. It must refuse this name, with an error that wraps dns.ErrMalformed: %s", shown(tt.bad), tt.why)
			case !errors.Is(err, dns.ErrMalformed):
				t.Fatalf("Build(7, %s) gave an error, as it must, but errors.Is(err, dns.ErrMalformed) is false: the words alone do not make it one. Wrap dns.ErrMalformed, by fmt.Errorf and %%w. Yours says: %v", shown(tt.bad), err)
			}
			assert.True(t, len(msg) == 0, "Build(7, %s) gave an error, and %d bytes beside it: there is no query then", shown(tt.bad), len(msg))
		})
	}
}

// Whatever name it is given, Build takes and refuses what dnsmessage does, and
// dnsmessage reads back what went in.
func FuzzBuild(f *testing.F) {
	f.Add(uint16(12345), "shop.test.", uint16(1), uint16(1))
	f.Add(uint16(0), ".", uint16(2), uint16(1))
	f.Add(uint16(7), "shop..test", uint16(28), uint16(1))
	f.Fuzz(func(t *testing.T, id uint16, name string, typ, class uint16) {
		canonical := name
		if !strings.HasSuffix(name, ".") {
			canonical += "."
		}
		wantName, wantErr := dnsmessage.NewName(canonical)
		want := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: wantName, Type: dnsmessage.Type(typ), Class: dnsmessage.Class(class)}},
		}
		var packed []byte
		if wantErr == nil {
			packed, wantErr = want.Pack()
		}
		msg, err := call(t, id, dns.Question{Name: name, Type: dns.Type(typ), Class: dns.Class(class)})
		if name == "" || wantErr != nil {
			require.ErrorIs(t, err, dns.ErrMalformed, "Build(%d, %s): golang.org/x/net/dns/dnsmessage refuses this name (%v)", id, shown(name), wantErr)
			return
		}
		require.NoError(t, err, "Build(%d, %s): golang.org/x/net/dns/dnsmessage takes this name", id, shown(name))
		assert.Equal(t, spaced(packed), spaced(msg), "Build(%d, %s) and golang.org/x/net/dns/dnsmessage write different queries", id, shown(name))
	})
}

// question asks for the IPv4 addresses of name.
func question(name string) dns.Question {
	return dns.Question{Name: name, Type: dns.TypeA, Class: dns.ClassINET}
}

// call is query.Build, of which a panic is a failed test.
func call(t *testing.T, id uint16, q dns.Question) (msg []byte, err error) {
	t.Helper()
	if fault := panics.In(func() { msg, err = query.Build(id, q) }); fault != "" {
		t.Fatalf("Build(%d, %s) panicked: %s. Whatever the name, it must return", id, shown(q.Name), fault)
	}
	return msg, err
}

// build is query.Build where it must not fail.
func build(t *testing.T, id uint16, q dns.Question) []byte {
	t.Helper()
	msg, err := call(t, id, q)
	if err != nil {
		why := "this name is valid"
		if q.Name == "." {
			why = "this is the root, a valid name"
		}
		t.Fatalf("Build(%d, %s) gave an error, and must give a query: %s. Yours says: %v", id, shown(q.Name), why, err)
	}
	return msg
}

// shown is a name as a reader can take it in.
func shown(name string) string {
	const enough = 40
	if len(name) <= enough {
		return strconv.Quote(name)
	}
	return fmt.Sprintf("%q… (%d characters)", name[:enough], len(name))
}

// part is what is there of msg[from:to].
func part(msg []byte, from, to int) []byte {
	to = min(to, len(msg))
	return msg[min(max(from, 0), to):to]
}

// spaced shows bytes as two digits each.
func spaced(b []byte) string { return fmt.Sprintf("% x", b) }
