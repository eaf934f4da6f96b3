package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/dns"
)

// start is what to do when something is not there.
const start = "Start the stack in another terminal: go run ./workshop up 01"

// lookupError says that the fault was in finding host's address.
type lookupError struct {
	host string
	err  error
}

func (e *lookupError) Error() string { return e.err.Error() }
func (e *lookupError) Unwrap() error { return e.err }

// explained is an error that says first what it means, and what to do next.
type explained struct {
	what string
	err  error
}

func (e *explained) Error() string {
	return fmt.Sprintf("client: %s (%s)", e.what, strings.ReplaceAll(e.err.Error(), "\n", "; "))
}
func (e *explained) Unwrap() error { return e.err }

// explain says what err means for a user who asked for url.
func explain(cfg Config, url string, err error) error {
	var (
		lookup  *lookupError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		op      *net.OpError
		what    string
	)
	switch isLookup := errors.As(err, &lookup); {
	case errors.Is(err, context.Canceled):
		what = "the request was given up"
	case isLookup && (errors.Is(err, dns.ErrNoSuchName) || errors.Is(err, dns.ErrNoData)):
		what = fmt.Sprintf("%s has no address, says the DNS server at %s. Check the name: the workshop's are shop.test and www.shop.test", lookup.host, cfg.DNS)
	case isLookup && errors.Is(err, dns.ErrMalformed):
		what = fmt.Sprintf("%q is no host name. Check the URL", lookup.host)
	case isLookup && errors.Is(err, dns.ErrServerFailure):
		what = fmt.Sprintf("the DNS server at %s does not answer for %s. It knows shop.test and what is below, and nothing else", cfg.DNS, lookup.host)
	case isLookup:
		what = fmt.Sprintf("no answer from the DNS server at %s. %s", cfg.DNS, start)
	case errors.As(err, &unknown):
		what = fmt.Sprintf("the server's certificate is signed by an authority that is not in %s of %s. "+
			"If the folder was changed while the stack ran, end the stack and start it again", authority.CertificateFile, cfg.Dir)
	case errors.As(err, &host):
		what = "the server's certificate is for other names. Check the host name in the URL"
	case errors.As(err, &invalid):
		what = "the server's certificate is not good. Check this computer's clock, then end the stack and start it again"
	case errors.As(err, &record):
		what = "the server does not speak TLS. Check the port in the URL, or ask by http"
	case errors.As(err, &op) && op.Op == "dial":
		what = fmt.Sprintf("no server answers for %s. %s", url, start)
	case errors.Is(err, context.DeadlineExceeded):
		what = fmt.Sprintf("no answer within %s. See in the stack's terminal what it is at", cfg.Timeout)
	default:
		what = fmt.Sprintf("the request for %s failed. A URL looks like https://shop.test:8443/", url)
	}
	return &explained{what, err}
}
