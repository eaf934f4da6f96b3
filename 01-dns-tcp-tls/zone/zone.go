// Package zone answers for one part of the name space, as an authoritative
// server does: what its zone file says is so, and what it does not say does not
// exist. In the story, it is the signpost that says where the restaurant is.
//
// The work is done by github.com/miekg/dns, and this package is the only one
// that knows it. So it serves the tests as a witness too: what it reads and
// writes was not made by this workshop's own code.
//
// Source: RFC 1034 §4.3.2; the file's format RFC 1035 §5; negative answers RFC 2308.
package zone

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	wire "github.com/miekg/dns"

	"clicktocode.example/01-dns-tcp-tls/dns"
)

// Zone is a zone's content. It does not change, and may be used by many at once.
type Zone struct {
	soa     *wire.SOA
	records map[string][]wire.RR // by name in lower case; parents of names too, without records
}

// Parse reads a zone file. It must hold one SOA record, no name outside the
// zone, and nothing else beside a CNAME record (RFC 1034 §3.6.2). No $INCLUDE;
// wildcards and delegations have no special meaning here.
func Parse(file string) (*Zone, error) {
	z := &Zone{records: map[string][]wire.RR{}}
	p := wire.NewZoneParser(strings.NewReader(file), "", "")
	var all []wire.RR
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if soa, ok := rr.(*wire.SOA); ok {
			if z.soa != nil {
				return nil, fmt.Errorf("zone: a second SOA record, of %s", soa.Hdr.Name)
			}
			z.soa = soa
		}
		all = append(all, rr)
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	if z.soa == nil {
		return nil, errors.New("zone: no SOA record")
	}
	apex := wire.CanonicalName(z.soa.Hdr.Name)
	for _, rr := range all {
		name := wire.CanonicalName(rr.Header().Name)
		if !wire.IsSubDomain(apex, name) {
			return nil, fmt.Errorf("zone: %s is outside of %s", name, apex)
		}
		z.records[name] = append(z.records[name], rr)
		for parent := name; parent != apex; {
			at, _ := wire.NextLabel(parent, 0)
			parent = parent[at:]
			z.records[parent] = append(z.records[parent], nil...) // exists, if only as a parent (RFC 8020)
		}
	}
	for name, records := range z.records {
		for _, rr := range records {
			if rr.Header().Rrtype == wire.TypeCNAME && len(records) > 1 {
				return nil, fmt.Errorf("zone: %s has another record beside its CNAME", name)
			}
		}
	}
	// What a "no" carries says how long to remember it (RFC 2308 §3).
	z.soa = wire.Copy(z.soa).(*wire.SOA)
	z.soa.Hdr.Ttl = min(z.soa.Hdr.Ttl, z.soa.Minttl)
	return z, nil
}

// MustParse is Parse for files that are known to be right. It panics on an error.
func MustParse(file string) *Zone {
	z, err := Parse(file)
	if err != nil {
		panic(err)
	}
	return z
}

// Reply answers one query, both as they stand in a datagram, of any size.
// The error says that query could not be read, or is a reply itself.
func (z *Zone) Reply(query []byte) ([]byte, error) {
	var m wire.Msg
	if err := m.Unpack(query); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	if m.Response {
		return nil, errors.New("zone: a reply (QR is set), not a query")
	}
	return z.reply(&m).Pack()
}

func (z *Zone) reply(query *wire.Msg) *wire.Msg {
	m := new(wire.Msg).SetReply(query)
	m.Compress = true
	if query.IsEdns0() != nil {
		m.SetEdns0(maxUDP, false) // who offers EDNS gets it back (RFC 6891 §6.1.1)
	}
	if query.Opcode != wire.OpcodeQuery || len(query.Question) != 1 {
		m.Rcode = wire.RcodeFormatError
		return m
	}
	q := query.Question[0]
	apex := z.soa.Hdr.Name
	if !wire.IsSubDomain(apex, q.Name) || q.Qclass != wire.ClassINET {
		m.Rcode = wire.RcodeRefused
		return m
	}
	m.Authoritative = true

	// Along the aliases, until they end, leave the zone, or lead round in circles.
	seen := map[string]bool{}
	for name := wire.CanonicalName(q.Name); !seen[name] && wire.IsSubDomain(apex, name); {
		seen[name] = true
		records, exists := z.records[name]
		if !exists {
			m.Rcode = wire.RcodeNameError
		}
		found, alias := false, ""
		for _, rr := range records {
			switch {
			case rr.Header().Rrtype == q.Qtype || q.Qtype == wire.TypeANY:
				m.Answer = append(m.Answer, rr)
				found = true
			case rr.Header().Rrtype == wire.TypeCNAME:
				m.Answer = append(m.Answer, rr)
				alias = rr.(*wire.CNAME).Target
			}
		}
		if alias == "" {
			if !found {
				m.Ns = append(m.Ns, z.soa)
			}
			break
		}
		name = wire.CanonicalName(alias)
	}
	return m
}

// Read returns the one question of query as github.com/miekg/dns reads it.
func Read(query []byte) (dns.Header, dns.Question, error) {
	var m wire.Msg
	if err := m.Unpack(query); err != nil {
		return dns.Header{}, dns.Question{}, fmt.Errorf("zone: %w", err)
	}
	if len(m.Question) != 1 {
		return dns.Header{}, dns.Question{}, fmt.Errorf("zone: %d questions", len(m.Question))
	}
	q := m.Question[0]
	return dns.Header{
			ID: m.Id, Response: m.Response, Authoritative: m.Authoritative, Truncated: m.Truncated,
			RecursionDesired: m.RecursionDesired, RecursionAvailable: m.RecursionAvailable, RCode: dns.RCode(m.Rcode),
			QDCount: uint16(len(m.Question)), ANCount: uint16(len(m.Answer)), NSCount: uint16(len(m.Ns)), ARCount: uint16(len(m.Extra)),
		},
		dns.Question{Name: q.Name, Type: dns.Type(q.Qtype), Class: dns.Class(q.Qclass)}, nil
}

// Query is one question that a server was asked, and what became of it.
type Query struct {
	Client   net.Addr
	Network  string // "udp" or "tcp"
	Question string // "shop.test. A"
	RCode    string // "NOERROR", "NXDOMAIN", …
	Answers  int
}

// Server serves a zone by UDP and TCP on one address.
type Server struct {
	udp, tcp *wire.Server
	done     chan error
}

// maxUDP is the largest reply by UDP, in octets: one of 1232 arrives in one
// piece on nearly every path (RFC 9715 §3.1).
const maxUDP = 1232

// Listen serves z at address ("127.0.0.1:8053"; port 0 takes a free one) until
// Close. Replies by UDP that pass 512 octets, or what the client's EDNS option
// offers, up to 1232, are truncated. onQuery, unless nil, is told of every
// question before its reply is sent, by many goroutines at once.
func Listen(address string, z *Zone, onQuery func(Query)) (*Server, error) {
	tcp, udp, err := bind(address)
	if err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	handler := wire.HandlerFunc(func(w wire.ResponseWriter, query *wire.Msg) {
		m := z.reply(query)
		network := w.RemoteAddr().Network()
		if network == "udp" {
			size := wire.MinMsgSize
			if opt := query.IsEdns0(); opt != nil {
				size = min(max(size, int(opt.UDPSize())), maxUDP)
			}
			m.Truncate(size)
			m.Compress = true // Truncate takes that back when the message fits as it is
		}
		if onQuery != nil && len(query.Question) == 1 {
			q := query.Question[0]
			onQuery(Query{
				Client: w.RemoteAddr(), Network: network,
				Question: q.Name + " " + wire.Type(q.Qtype).String(),
				RCode:    wire.RcodeToString[m.Rcode], Answers: len(m.Answer),
			})
		}
		_ = w.WriteMsg(m) // a client that left needs no reply
	})
	s := &Server{done: make(chan error, 2)}
	started := make(chan struct{}, 2)
	serve := func(ln net.Listener, conn net.PacketConn) *wire.Server {
		srv := &wire.Server{
			Listener: ln, PacketConn: conn, Handler: handler,
			ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second,
			NotifyStartedFunc: func() { started <- struct{}{} },
		}
		go func() { s.done <- srv.ActivateAndServe() }()
		return srv
	}
	s.tcp, s.udp = serve(tcp, nil), serve(nil, udp)
	for range 2 {
		select {
		case <-started:
		case err := <-s.done: // the system refused an option of the socket
			return nil, fmt.Errorf("zone: %w", errors.Join(err, tcp.Close(), udp.Close()))
		}
	}
	return s, nil
}

// bind takes one port for both networks. The one that is free for TCP may be
// taken for UDP, so where any port will do, it looks for another.
func bind(address string) (net.Listener, net.PacketConn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	for try := 1; ; try++ {
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			return nil, nil, err
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp, nil
		}
		tcp.Close()
		if port != "0" || try == 20 {
			return nil, nil, err
		}
	}
}

// Addr is where the server listens, "127.0.0.1:8053", for UDP and TCP alike.
func (s *Server) Addr() string { return s.udp.PacketConn.LocalAddr().String() }

// Close stops the server and waits until it stands still. Call it once.
func (s *Server) Close() error {
	return errors.Join(s.udp.Shutdown(), s.tcp.Shutdown(), <-s.done, <-s.done)
}
