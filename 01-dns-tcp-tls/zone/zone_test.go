package zone_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"clicktocode.example/01-dns-tcp-tls/dns"
	"clicktocode.example/01-dns-tcp-tls/message"
	"clicktocode.example/01-dns-tcp-tls/zone"
)

const apex = "$ORIGIN shop.test.\n@ 300 SOA ns hostmaster 1 3600 600 86400 60\n"

var shop = zone.MustParse(apex + `
@          300 NS    ns
@          300 A     192.0.2.1
@          300 AAAA  2001:db8::1
www        120 CNAME SHOP.test.
nowhere     20 CNAME gone
cdn         20 CNAME shop.example.
a.b        300 A     192.0.2.2
here        10 CNAME there
there       10 CNAME here
` + many())

// many is a name with so many addresses that they do not fit 512 octets.
func many() string {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, "many 300 A 192.0.2.%d\n", i)
	}
	return b.String()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for name, file := range map[string]string{
		"refuses_a_zone_without_an_SOA_record":  "$ORIGIN shop.test.\n@ 300 A 192.0.2.1\n",
		"refuses_a_second_SOA_record":           apex + "www 300 SOA ns hostmaster 1 3600 600 86400 60\n",
		"refuses_names_outside_of_the_zone":     apex + "bank.test. 300 A 192.0.2.1\n",
		"refuses_a_record_beside_a_CNAME":       apex + "www 300 CNAME shop.test.\nWWW 300 A 192.0.2.1\n",
		"refuses_what_is_no_record":             apex + "www 300 A nonsense\n",
		"refuses_relative_names_without_origin": "@ 300 SOA ns hostmaster 1 3600 600 86400 60\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := zone.Parse(file)
			assert.Error(t, err)
			assert.Panics(t, func() { zone.MustParse(file) })
		})
	}
}

func TestReply(t *testing.T) {
	for _, tt := range []struct {
		name, question string
		typ            dns.Type
		rcode          dns.RCode
		answers        []string
		negative       bool // an SOA record says how long the no holds
	}{
		{"finds_a_record", "shop.test.", dns.TypeA, 0, []string{"shop.test. A"}, false},
		{"finds_a_record_in_capitals", "SHOP.TEST.", dns.TypeA, 0, []string{"shop.test. A"}, false},
		{"follows_an_alias", "www.shop.test.", dns.TypeA, 0, []string{"www.shop.test. CNAME", "shop.test. A"}, false},
		{"does_not_follow_an_alias_that_was_asked_for", "www.shop.test.", dns.TypeCNAME, 0, []string{"www.shop.test. CNAME"}, false},
		{"knows_names_that_do_not_exist", "gone.shop.test.", dns.TypeA, dns.RCodeNameError, nil, true},
		{"knows_aliases_of_names_that_do_not_exist", "nowhere.shop.test.", dns.TypeA, dns.RCodeNameError, []string{"nowhere.shop.test. CNAME"}, true},
		{"knows_names_without_the_type", "a.b.shop.test.", dns.TypeAAAA, 0, nil, true},
		{"knows_that_a_parent_exists", "b.shop.test.", dns.TypeA, 0, nil, true},
		{"says_nothing_about_an_alias_out_of_the_zone", "cdn.shop.test.", dns.TypeA, 0, []string{"cdn.shop.test. CNAME"}, false},
		{"ends_on_a_circle_of_aliases", "here.shop.test.", dns.TypeA, 0, []string{"here.shop.test. CNAME", "there.shop.test. CNAME"}, false},
		{"refuses_another_zone", "bank.test.", dns.TypeA, dns.RCodeRefused, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := shop.Reply(query(t, tt.question, tt.typ))
			require.NoError(t, err)
			m, err := message.Parse(raw)
			require.NoError(t, err)
			assert.True(t, m.Response)
			assert.Equal(t, uint16(7), m.ID)
			assert.Equal(t, tt.rcode, m.RCode)
			assert.Equal(t, tt.rcode != dns.RCodeRefused, m.Authoritative)
			assert.Equal(t, []dns.Question{{Name: tt.question, Type: tt.typ, Class: dns.ClassINET}}, m.Questions)
			var answers []string
			for _, rr := range m.Answers {
				answers = append(answers, rr.Name+" "+rr.Type.String())
			}
			assert.Equal(t, tt.answers, answers)
			if !tt.negative {
				assert.Empty(t, m.Authorities)
				return
			}
			require.Len(t, m.Authorities, 1)
			soa := m.Authorities[0]
			assert.Equal(t, dns.TypeSOA, soa.Type)
			assert.Equal(t, time.Minute, soa.TTL, "the smaller of the SOA record's TTL and its minimum: RFC 2308 §3")
			assert.Equal(t, time.Minute, soa.Minimum)
		})
	}

	t.Run("refuses_what_is_no_query", func(t *testing.T) {
		msg := query(t, "shop.test.", dns.TypeA)
		_, err := shop.Reply(msg[:11])
		assert.Error(t, err)
		msg[2] |= 0x80 // QR
		_, err = shop.Reply(msg)
		assert.Error(t, err)
	})
}

func TestRead(t *testing.T) {
	h, q, err := zone.Read(query(t, "www.shop.test.", dns.TypeAAAA))
	require.NoError(t, err)
	assert.Equal(t, dns.Header{ID: 7, RecursionDesired: true, QDCount: 1}, h)
	assert.Equal(t, dns.Question{Name: "www.shop.test.", Type: dns.TypeAAAA, Class: dns.ClassINET}, q)
	_, _, err = zone.Read([]byte("\x00\x07\x01\x00\x00\x01"))
	assert.Error(t, err)
	_, _, err = zone.Read(make([]byte, 12))
	assert.Error(t, err, "no question")
}

func TestListen(t *testing.T) {
	t.Run("answers_many_by_UDP_and_TCP", func(t *testing.T) {
		var mu sync.Mutex
		told := map[string]int{}
		s := listen(t, func(q zone.Query) {
			mu.Lock()
			defer mu.Unlock()
			told[q.Network+" "+q.Question+" "+q.RCode]++
		})
		var wg sync.WaitGroup
		for range 10 {
			for _, network := range []string{"udp", "tcp"} {
				wg.Go(func() {
					m, raw := exchange(t, network, s.Addr(), query(t, "www.shop.test.", dns.TypeA))
					assert.Len(t, m.Answers, 2)
					assert.Contains(t, string(raw), "\xc0\x0c", "names are compressed: RFC 1035 §4.1.4")
				})
			}
		}
		wg.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, map[string]int{
			"udp www.shop.test. A NOERROR": 10,
			"tcp www.shop.test. A NOERROR": 10,
		}, told)
	})

	t.Run("truncates_what_does_not_fit_a_datagram", func(t *testing.T) {
		s := listen(t, nil)
		q := query(t, "many.shop.test.", dns.TypeA)
		m := ask(t, "udp", s.Addr(), q)
		assert.True(t, m.Truncated)
		assert.Less(t, len(m.Answers), 60)
		m = ask(t, "tcp", s.Addr(), q)
		assert.False(t, m.Truncated)
		assert.Len(t, m.Answers, 60)
	})

	t.Run("sends_larger_datagrams_to_those_who_offer_room", func(t *testing.T) {
		s := listen(t, nil)
		q := query(t, "many.shop.test.", dns.TypeA)
		q[11] = 1                                                        // one additional record:
		q = append(q, "\x00\x00\x29\xff\xff\x00\x00\x00\x00\x00\x00"...) // OPT, with room for 65535 octets
		m := ask(t, "udp", s.Addr(), q)
		assert.False(t, m.Truncated)
		assert.Len(t, m.Answers, 60)
		require.Len(t, m.Additionals, 1)
		assert.Equal(t, dns.Type(41), m.Additionals[0].Type)
	})

	t.Run("gives_its_port_back", func(t *testing.T) {
		s, err := zone.Listen("127.0.0.1:0", shop, nil)
		require.NoError(t, err)
		idle, err := net.Dial("tcp", s.Addr())
		require.NoError(t, err)
		defer idle.Close()
		_, err = zone.Listen(s.Addr(), shop, nil)
		require.Error(t, err, "the port is taken")
		require.NoError(t, s.Close())
		_ = idle.SetReadDeadline(time.Now().Add(time.Second))
		_, err = idle.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "an idle connection ends with the server")
	})

	t.Run("refuses_an_address_that_is_none", func(t *testing.T) {
		_, err := zone.Listen("nonsense", shop, nil)
		assert.Error(t, err)
	})
}

func listen(t *testing.T, onQuery func(zone.Query)) *zone.Server {
	t.Helper()
	s, err := zone.Listen("127.0.0.1:0", shop, onQuery)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// ask sends msg by network, and returns the reply.
func ask(t *testing.T, network, addr string, msg []byte) dns.Message {
	m, _ := exchange(t, network, addr, msg)
	return m
}

// exchange is ask that returns the reply's bytes, too.
func exchange(t *testing.T, network, addr string, msg []byte) (m dns.Message, reply []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if !assert.NoError(t, err) {
		return m, nil
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	reply = make([]byte, 1<<16)
	if network == "udp" {
		_, err = conn.Write(msg)
		if assert.NoError(t, err) {
			var n int
			n, err = conn.Read(reply)
			reply = reply[:n]
		}
	} else {
		_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
		if assert.NoError(t, err) {
			_, err = io.ReadFull(conn, reply[:2])
			reply = reply[2 : 2+binary.BigEndian.Uint16(reply)]
			if assert.NoError(t, err) {
				_, err = io.ReadFull(conn, reply)
			}
		}
	}
	if assert.NoError(t, err) {
		m, err = message.Parse(reply)
		assert.NoError(t, err)
	}
	return m, reply
}

func query(t *testing.T, name string, typ dns.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(name), Type: dnsmessage.Type(typ), Class: dnsmessage.ClassINET,
		}},
	}
	msg, err := m.Pack()
	require.NoError(t, err)
	return msg
}
