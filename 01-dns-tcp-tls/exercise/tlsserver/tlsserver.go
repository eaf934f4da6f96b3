// Package tlsserver says how a server speaks TLS: which versions, which
// protocol inside, and with which certificate.
//
// A certificate ends, and a server does not: the next certificate has to reach
// the next connection while those that are open go on. So the server does not
// hold a certificate, it asks for one at each handshake.
//
// In the story, the sign at the door is changed while guests sit inside.
//
// Source: TLS 1.3 RFC 8446; versions RFC 8996; ALPN RFC 7301; advice for
// operators RFC 9325.
package tlsserver

import (
	"crypto/tls"
)

// Config returns the settings for [tls.Server], [tls.NewListener] and
// [net/http.Server], for as many connections as there are. It is not changed
// once it is in use; [tls.Config.Clone] makes one that may be.
//
// Versions are TLS 1.2 and newer. The protocol inside is agreed on by ALPN: h2
// where the client knows it, else http/1.1. A client without ALPN is served,
// and nothing is agreed on.
//
// current is asked for the certificate at each handshake that needs one, by
// many goroutines at once. A handshake waits for its own question and for no
// other's. What current gave serves that one connection to its end, whatever
// the next one gets.
//
// current fails by an error, whatever the certificate beside it, or by a nil
// certificate, whatever the error beside it. Then the last certificate that it gave is served again: a renewal that
// went wrong must not turn clients away. Where handshakes overlap, the last is
// that of the call which returned last. Only while there never was one,
// handshakes fail, with current's error wrapped; beside a nil certificate there
// may be none, and then they fail with an error of their own. To tell the
// operator is current's affair.
//
// A client that comes back may resume its session (RFC 8446 §2.2). Then no
// certificate is sent: such a client sees the renewed one when its ticket is
// too old (seven days), or when the certificate that it saw first has ended.
func Config(current func() (*tls.Certificate, error)) *tls.Config {
	// TODO(tlsserver): Set the lowest version, the protocols in the order that the server prefers them,
	// and how a handshake gets its certificate. Handshakes run side by side: what
	// they share needs sync/atomic, or a lock that is not held while current is asked.
	// The reference imports, besides what stands above: "errors", "fmt", "sync/atomic".
	return &tls.Config{}
}
