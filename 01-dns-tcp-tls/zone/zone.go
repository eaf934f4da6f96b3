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

// Parse reads a zone file. It must hold one SOA record, and no name outside
// the zone. No $INCLUDE.
func Parse(file string) (*Zone, error) {
	z := &Zone{records: map[string][]wire.RR{}}
	p := wire.NewZoneParser(strings.NewReader(file), "", "")
	var all []wire.RR
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if soa, ok := rr.(*wire.SOA); ok {
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
	for _, rr := range all {
		name := wire.CanonicalName(rr.Header().Name)
		if !wire.IsSubDomain(z.soa.Hdr.Name, name) {
			return nil, fmt.Errorf("zone: %s is outside of %s", name, z.soa.Hdr.Name)
		}
		z.records[name] = append(z.records[name], rr)
		for parent := name; parent != wire.CanonicalName(z.soa.Hdr.Name); {
			at, _ := wire.NextLabel(parent, 0)
			parent = parent[at:]
			z.records[parent] = append(z.records[parent], nil...) // exists, if only as a parent (RFC 8020)
		}
	}
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
// The error says that query could not be read.
func (z *Zone) Reply(query []byte) ([]byte, error) {
	var m wire.Msg
	if err := m.Unpack(query); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	return z.reply(&m).Pack()
}

func (z *Zone) reply(query *wire.Msg) *wire.Msg {
	m := new(wire.Msg).SetReply(query)
	m.Compress = true
	if query.Opcode != wire.OpcodeQuery || len(query.Question) != 1 {
		return m.SetRcode(query, wire.RcodeFormatError)
	}
	q := query.Question[0]
	if !wire.IsSubDomain(z.soa.Hdr.Name, q.Name) || q.Qclass != wire.ClassINET {
		return m.SetRcode(query, wire.RcodeRefused)
	}
	m.Authoritative = true

	name := wire.CanonicalName(q.Name)
	exists := true
	for range len(z.records) + 1 { // a circle of aliases in the file must not be one here
		var records []wire.RR
		if records, exists = z.records[name]; !exists {
			break
		}
		alias := ""
		for _, rr := range records {
			switch {
			case rr.Header().Rrtype == q.Qtype || q.Qtype == wire.TypeANY:
				m.Answer = append(m.Answer, rr)
			case rr.Header().Rrtype == wire.TypeCNAME:
				m.Answer = append(m.Answer, rr)
				alias = rr.(*wire.CNAME).Target
			}
		}
		if alias == "" || !wire.IsSubDomain(z.soa.Hdr.Name, alias) {
			break
		}
		name = wire.CanonicalName(alias)
	}
	if !exists {
		m.Rcode = wire.RcodeNameError
	}
	if n := len(m.Answer); !exists || n == 0 || m.Answer[n-1].Header().Rrtype != q.Qtype {
		m.Ns = append(m.Ns, z.soa) // says how long the "no" holds (RFC 2308 §3)
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

// Listen serves z at address ("127.0.0.1:8053"; port 0 takes a free one) until
// Close. Replies by UDP that pass 512 octets, or what the client's EDNS option
// offers, are truncated. onQuery, unless nil, is told of every question, by
// many goroutines at once.
func Listen(address string, z *Zone, onQuery func(Query)) (*Server, error) {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("zone: %w", err)
	}
	handler := wire.HandlerFunc(func(w wire.ResponseWriter, query *wire.Msg) {
		m := z.reply(query)
		network := w.RemoteAddr().Network()
		if network == "udp" {
			size := wire.MinMsgSize
			if opt := query.IsEdns0(); opt != nil {
				size = max(size, int(opt.UDPSize()))
			}
			m.Truncate(size)
		}
		if onQuery != nil && len(query.Question) == 1 {
			q := query.Question[0]
			onQuery(Query{
				Client: w.RemoteAddr(), Network: network,
				Question: q.Name + " " + wire.TypeToString[q.Qtype],
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
	<-started
	<-started
	return s, nil
}

// Addr is where the server listens, "127.0.0.1:8053", for UDP and TCP alike.
func (s *Server) Addr() string { return s.udp.PacketConn.LocalAddr().String() }

// Close stops the server and waits until it stands still. Call it once.
func (s *Server) Close() error {
	return errors.Join(s.udp.Shutdown(), s.tcp.Shutdown(), <-s.done, <-s.done)
}
