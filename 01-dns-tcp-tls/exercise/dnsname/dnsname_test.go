package dnsname_test

import (
	"encoding/binary"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/exercise/dnsname"
	"clicktocode.example/01-dns-tcp-tls/panics"
)

func TestRead(t *testing.T) {
	// A reader that calls itself for ever must not take the machine's memory along.
	defer debug.SetMaxStack(debug.SetMaxStack(64 << 20))

	t.Run("reads_labels_up_to_the_zero", func(t *testing.T) {
		name, next := read(t, "\x04shop\x04test\x00", 0)
		assert.Equal(t, "shop.test.", name, "each label is followed by a dot, the last one too: RFC 1035 §3.1")
		assert.Equal(t, 11, next, "the next field starts behind the zero: 5 + 5 + 1 octets were the name")
	})

	t.Run("reads_the_root_as_a_dot", func(t *testing.T) {
		name, next := read(t, "\x00", 0)
		assert.Equal(t, ".", name, "a name without labels is the root: RFC 1035 §3.1")
		assert.Equal(t, 1, next, "the root is one octet long")
	})

	t.Run("starts_where_it_is_told", func(t *testing.T) {
		name, next := read(t, "\x04oops\x00\x03www\x00\x00\x01", 6)
		assert.Equal(t, "www.", name, "the name starts at offset 6")
		assert.Equal(t, 11, next, "offsets count from the start of the message")
	})

	// The example of RFC 1035 §4.1.4, octet by octet.
	rfc := make([]byte, 93)
	copy(rfc[20:], "\x01F\x03ISI\x04ARPA\x00")
	copy(rfc[40:], "\x03FOO\xc0\x14")
	copy(rfc[64:], "\xc0\x1a")
	copy(rfc[92:], "\x00")

	t.Run("follows_a_pointer", func(t *testing.T) {
		name, _ := read(t, string(rfc), 40)
		assert.Equal(t, "FOO.F.ISI.ARPA.", name, "0xC014 says: go on at offset 20. It is the example of RFC 1035 §4.1.4")
		name, _ = read(t, string(rfc), 64)
		assert.Equal(t, "ARPA.", name, "0xC01A says: go on at offset 26, in the middle of another name")
	})

	t.Run("goes_on_behind_the_pointer", func(t *testing.T) {
		_, next := read(t, string(rfc), 40)
		assert.Equal(t, 46, next,
			"behind a pointer, the message goes on after the pointer's two octets (40 + 4 + 2), not after the name it points to: RFC 1035 §4.1.4")
	})

	t.Run("follows_a_pointer_to_the_root", func(t *testing.T) {
		const msg = "\x00\x03www\xc0\x00\xc0\x00" // the root, www with a pointer to it, and a pointer alone
		name, _ := read(t, msg, 1)
		assert.Equal(t, "www.", name, "Read(%q, 1): the label www, then a pointer to the root, which adds no dot of its own", msg)
		name, next := read(t, msg, 7)
		assert.Equal(t, ".", name, "Read(%q, 7): a pointer to the root, and no label before it", msg)
		assert.Equal(t, 9, next, "Read(%q, 7): the message goes on after the pointer's two octets: RFC 1035 §4.1.4", msg)
	})

	t.Run("follows_a_pointer_to_a_pointer", func(t *testing.T) {
		name, next := read(t, "\x04test\x00\x04shop\xc0\x00\x03www\xc0\x06", 13)
		assert.Equal(t, "www.shop.test.", name, "a pointer may lead to labels that end in a pointer")
		assert.Equal(t, 19, next, "the first pointer decides where the message goes on")
	})

	t.Run("uses_all_fourteen_bits_of_a_pointer", func(t *testing.T) {
		for _, at := range []int{0x1234, 0x2345} {
			msg := strings.Repeat("\x00", at) + "\x03far\x00" + string([]byte{0xC0 | byte(at>>8), byte(at)})
			name, _ := read(t, msg, at+5)
			assert.Equal(t, "far.", name, "the offset is 14 bits long, %#x here: RFC 1035 §4.1.4", at)
		}
	})

	t.Run("ends_on_a_pointer_loop", func(t *testing.T) {
		refuses(t, "\xc0\x00", 0, "a pointer to itself")
		refuses(t, "\xc0\x02\xc0\x00", 0, "two pointers to each other")
		refuses(t, "\x01a\xc0\x00", 0, "a label, then a pointer back to it")
	})

	t.Run("counts_what_pointers_add", func(t *testing.T) {
		msg := "\x04last\x00"
		for at := 0; len(msg) < 500; at = len(msg) - 6 {
			msg += "\x03abc" + string([]byte{0xC0 | byte(at>>8), byte(at)})
		}
		name, _ := read(t, msg, 6)
		assert.Equal(t, "abc.last.", name, "a label, then a pointer to the start")
		refuses(t, msg, len(msg)-6, "80 labels of three letters, joined by pointers, are over 255 octets: RFC 1035 §2.3.4")
	})

	for _, tt := range []struct {
		name, bad, why, good string
	}{
		{
			"refuses_a_label_past_the_end",
			"\x04sho", "the label's length says 4 octets, 3 are there", "\x03sho\x00",
		}, {
			"refuses_a_name_without_its_end",
			"\x04shop", "no zero ends the name", "\x04shop\x00",
		}, {
			"refuses_a_pointer_cut_in_half",
			"\x04shop\xc0", "a pointer is two octets, one is there", "\x04shop\x00\xc0",
		}, {
			"refuses_a_pointer_past_the_end",
			"\x04shop\xc0\x20", "the pointer leads to offset 32 of 7 octets", "\x04shop\x00",
		}, {
			"refuses_reserved_lengths",
			"\x40" + strings.Repeat("a", 64) + "\x00", "the top bits 01 are reserved, and no label is longer than 63: RFC 1035 §4.1.4",
			"\x3f" + strings.Repeat("a", 63) + "\x00",
		}, {
			"refuses_names_over_255_octets",
			strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) + "\x3e" + strings.Repeat("a", 62) + "\x00",
			"with its length octets and the zero this name is 256 octets, and 255 is the limit: RFC 1035 §2.3.4",
			strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) + "\x3d" + strings.Repeat("a", 61) + "\x00",
		}, {
			"refuses_a_dot_inside_a_label",
			"\x03a.b\x00", `as text, the label "a.b" could not be told from the labels "a" and "b"`, "\x01a\x01b\x00",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read(t, tt.good, 0)
			refuses(t, tt.bad, 0, tt.why)
		})
	}

	t.Run("refuses_what_is_half_a_pointer", func(t *testing.T) {
		name, _ := read(t, "\x04shop\x00\xc0\x00", 6)
		assert.Equal(t, "shop.", name, "both top bits are set: a pointer to 0")
		refuses(t, "\x04shop\x00\x80\x00", 6, "of the top bits, only the first is set: 10 is reserved, a pointer has both: RFC 1035 §4.1.4")
		refuses(t, "\x04shop\x00\x40\x00", 6, "of the top bits, only the second is set: 01 is reserved, a pointer has both: RFC 1035 §4.1.4")
	})

	t.Run("refuses_to_start_past_the_end", func(t *testing.T) {
		const msg = "\x04shop\x00"
		read(t, msg, 0)
		refuses(t, msg, len(msg), "the message has 6 octets, and none at offset 6: the name runs past the end")
		refuses(t, msg, len(msg)+1, "the message has 6 octets, and offset 7 is beyond them")
	})
}

// Read agrees with dnsmessage on what both accept, and what it accepts is a name.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x04shop\x04test\x00\x00\x01\x00\x01"))
	f.Add([]byte("\x03www\x04shop\x04test\x00\x00\x1c\x00\x01"))
	f.Add([]byte("\x01-\x00\x00\x05\x00\x01"))
	f.Fuzz(func(t *testing.T, question []byte) {
		msg := append([]byte("\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), question...)
		name, next, err := inTime(t, string(msg), 12)
		if err != nil {
			require.ErrorIs(t, err, dns.ErrMalformed, "Read(%q, 12): whatever the fault, it is the message's", msg)
			return // with or without reason: a pointer forward, say, which dnsmessage follows
		}
		require.True(t, strings.HasSuffix(name, "."), "Read(%q, 12) gave the name %q: a name ends in a dot, that of the root too", msg, name)
		require.Less(t, len(name), dns.MaxName, "Read(%q, 12) gave the name %q: with its length octets and the zero it is over 255 octets", msg, name)
		require.Greater(t, next, 12, "Read(%q, 12) says that the next field starts before the name ends", msg)
		require.LessOrEqual(t, next, len(msg), "Read(%q, 12) says that the next field starts behind the end of the message", msg)

		var p dnsmessage.Parser
		_, startErr := p.Start(msg)
		require.NoError(t, startErr)
		witness, witnessErr := p.Question()
		if witnessErr != nil {
			return // type and class may be missing, or a name joined by more pointers than dnsmessage cares to follow
		}
		assert.Equal(t, witness.Name.String(), name, "Read(%q, 12) and golang.org/x/net/dns/dnsmessage read different names", msg)
		require.LessOrEqual(t, next+4, len(msg), "type and class follow the name, and dnsmessage found them")
		assert.Equal(t, uint16(witness.Type), binary.BigEndian.Uint16(msg[next:]),
			"Read(%q, 12) says that the message goes on at %d: the type that stands there is not the one that dnsmessage read", msg, next)
	})
}

func BenchmarkRead(b *testing.B) {
	msg := []byte("\x04shop\x04test\x00\x05order\xc0\x00")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := dnsname.Read(msg, 11); err != nil {
			b.Fatal(err)
		}
	}
}

// read is dnsname.Read where it must not fail.
func read(t *testing.T, msg string, off int) (name string, next int) {
	t.Helper()
	name, next, err := inTime(t, msg, off)
	require.NoError(t, err, "Read(%.99q, %d), of %d octets: this name is sound. A pointer's offset is its last 14 bits, and a name may have dns.MaxName octets, these included", msg, off, len(msg))
	return name, next
}

// refuses checks that dnsname.Read finds the fault.
func refuses(t *testing.T, msg string, off int, why string) {
	t.Helper()
	name, _, err := inTime(t, msg, off)
	require.ErrorIs(t, err, dns.ErrMalformed, "Read(%.40q, %d) gave the name %.40q; it must fail, and wrap dns.ErrMalformed: %s", msg, off, name, why)
}

// inTime calls dnsname.Read, and fails when it panics, or does not come back.
func inTime(t *testing.T, msg string, off int) (name string, next int, err error) {
	t.Helper()
	done := make(chan string, 1)
	go func() {
		done <- panics.In(func() { name, next, err = dnsname.Read(slices.Clip([]byte(msg)), off) }) // clipped: behind its end there is nothing to slice
	}()
	select {
	case fault := <-done:
		if fault != "" {
			require.Fail(t, fault, "Read(%.40q, %d) panicked, and the message has %d octets. Whatever a message holds, it must not bring the reader down: look at len(msg) before you look at msg[i]", msg, off, len(msg))
		}
	case <-time.After(time.Second):
		require.FailNow(t, "no end", "Read(%.40q, %d) was still running after a second: it follows pointers round in circles", msg, off)
	}
	return name, next, err
}
