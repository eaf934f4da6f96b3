// Package authority keeps the workshop's certificate authority in a folder, and
// has a certificate from it ready for a server at any time: it makes what is
// missing, renews what nears its end, and replaces what is damaged. What the
// certificates say is package certificate's affair.
//
// The folder holds
//
//	ca.pem      the authority's certificate, for clients (curl --cacert)
//	ca-key.pem  the same with its key, for its owner alone
//	ca.lock     held while one of them is read or made
//
// Processes may open the folder side by side: the first one makes what is
// missing, the others use it. A server's key and certificate stay in memory,
// each process has its own.
//
// No trust store is touched. Whoever has the key can speak for shop.test and
// localhost to clients that were told of ca.pem, and to no other.
package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/01-dns-tcp-tls/stage"
)

// Files in the folder.
const (
	CertificateFile = "ca.pem"
	KeyFile         = "ca-key.pem"
	lockFile        = "ca.lock"
)

// retryAfter is how long after a failed renewal the next one is tried.
const retryAfter = time.Minute

// Config says where the authority is kept, and for whom it issues.
type Config struct {
	Dir   string           // a folder that is there; empty is stage.Dir
	Names []string         // of the server; nil is shop.test, www.shop.test, localhost, 127.0.0.1 and ::1
	Log   *slog.Logger     // is told of what was made, renewed and replaced; nil is silent
	Now   func() time.Time // nil is time.Now
}

// Authority issues certificates for one server. It may be used by many
// goroutines at once.
type Authority struct {
	cfg  Config
	leaf atomic.Pointer[tls.Certificate]

	turn chan struct{} // held by the one that renews; guards the fields below
	next time.Time     // after a failure, when to try again
	err  error         // the failure
}

// Open opens the authority in cfg.Dir, or makes one, and issues the first
// certificate. There is nothing to close.
func Open(cfg Config) (*Authority, error) {
	if cfg.Names == nil {
		cfg.Names = []string{"shop.test", "www.shop.test", "localhost", "127.0.0.1", "::1"}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Dir == "" {
		dir, err := stage.Dir()
		if err != nil {
			return nil, err
		}
		cfg.Dir = dir
	}
	a := &Authority{cfg: cfg, turn: make(chan struct{}, 1)}
	if _, err := a.Current(); err != nil {
		return nil, err
	}
	return a, nil
}

// Current is the certificate to serve with now. It is renewed when a third of
// its life is left, by the one call that finds it so; meanwhile others get the
// one that still is good. A failure is logged, returned, and not tried again
// for a minute: until then the server goes on with the certificate that it
// has. Callers do not change the result.
func (a *Authority) Current() (*tls.Certificate, error) {
	now := a.cfg.Now()
	leaf := a.leaf.Load()
	if fresh(leaf, now) {
		return leaf, nil
	}
	select {
	case a.turn <- struct{}{}:
	default:
		if leaf != nil && now.Before(leaf.Leaf.NotAfter) {
			return leaf, nil
		}
		a.turn <- struct{}{} // bounded: load has a deadline
	}
	defer func() { <-a.turn }()
	if leaf = a.leaf.Load(); fresh(leaf, now) {
		return leaf, nil // another call had its turn before
	}
	if now.Before(a.next) {
		return nil, a.err
	}
	if leaf, a.err = a.issue(now); a.err != nil {
		a.next = now.Add(retryAfter)
		a.cfg.Log.Error("no new certificate for the server", "err", a.err, "next try", a.next)
		return nil, a.err
	}
	if a.leaf.Swap(leaf) != nil {
		a.cfg.Log.Info("renewed the server's certificate", "until", leaf.Leaf.NotAfter)
	}
	return leaf, nil
}

func fresh(leaf *tls.Certificate, now time.Time) bool {
	if leaf == nil || now.Before(leaf.Leaf.NotBefore) {
		return false
	}
	life := leaf.Leaf.NotAfter.Sub(leaf.Leaf.NotBefore)
	return now.Before(leaf.Leaf.NotAfter.Add(-life / 3))
}

func (a *Authority) issue(now time.Time) (*tls.Certificate, error) {
	signer, err := a.load(now)
	if err != nil {
		return nil, err
	}
	return signer.Issue(now, a.cfg.Names...)
}

// load returns the authority in the folder, and puts the folder in order before.
func (a *Authority) load(now time.Time) (*certificate.Authority, error) {
	unlock, err := lock(filepath.Join(a.cfg.Dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	defer unlock()

	keyFile := filepath.Join(a.cfg.Dir, KeyFile)
	signer, why := read(keyFile, now)
	switch {
	case why == nil:
		return signer, a.publish(signer, now, true)
	case errors.Is(why, fs.ErrNotExist):
		a.cfg.Log.Info("there is no certificate authority yet: making one", "file", keyFile)
	case errors.Is(why, errUnsound), errors.Is(why, errEnding):
		aside := keyFile + now.Format(".old-20060102-150405.000000")
		if err := os.Rename(keyFile, aside); err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		a.cfg.Log.Warn("making a new certificate authority", "why", why, "old", aside)
	default:
		return nil, fmt.Errorf("authority: make the file readable for yourself, or delete it: %w", why)
	}
	if signer, err = certificate.NewAuthority(now); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer.Key)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	both := slices.Concat(encode("PRIVATE KEY", key), encode("CERTIFICATE", signer.Certificate.Raw))
	if err := stage.WriteFile(keyFile, both, 0o600); err != nil {
		return nil, err
	}
	return signer, a.publish(signer, now, errors.Is(why, errEnding))
}

var (
	errUnsound = errors.New("unsound")
	errEnding  = errors.New("near its end")
)

// read reads an authority's key and certificate, from one file so that they
// belong together whatever happens between. The error wraps fs.ErrNotExist,
// errUnsound, errEnding, or says why there is nothing to read.
func read(file string, now time.Time) (*certificate.Authority, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(text, text) // checks that they belong together
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %v: %w", file, err, errUnsound)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	switch {
	case !ok || !pair.Leaf.IsCA:
		return nil, fmt.Errorf("%s holds no authority: %w", file, errUnsound)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s could be read by others: %w", file, errUnsound)
	case now.Before(pair.Leaf.NotBefore):
		return nil, fmt.Errorf("%s is not valid before %s: %w", file, pair.Leaf.NotBefore, errUnsound)
	case now.Add(certificate.LeafLifetime).After(pair.Leaf.NotAfter):
		return nil, fmt.Errorf("%s ends at %s: %w", file, pair.Leaf.NotAfter, errEnding)
	}
	return &certificate.Authority{Certificate: pair.Leaf, Key: key}, nil
}

// publish puts signer's certificate into ca.pem, for clients. With keep, others
// that stand there remain until they end: a server that is still running may
// have its certificate from the authority before.
func (a *Authority) publish(signer *certificate.Authority, now time.Time, keep bool) error {
	file := filepath.Join(a.cfg.Dir, CertificateFile)
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("authority: make the file readable for yourself, or delete it: %w", err)
	}
	text := encode("CERTIFICATE", signer.Certificate.Raw)
	for block, rest := pem.Decode(old); keep && block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil && now.Before(cert.NotAfter) && !cert.Equal(signer.Certificate) {
			text = append(text, encode("CERTIFICATE", cert.Raw)...)
		}
	}
	if bytes.Equal(old, text) {
		return nil
	}
	return stage.WriteFile(file, text, 0o644)
}

// Pool returns what a client has to trust: the authorities in the ca.pem of
// dir. The error wraps fs.ErrNotExist where there is none.
func Pool(dir string) (*x509.CertPool, error) {
	file := filepath.Join(dir, CertificateFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("authority: %s holds no certificate; the server writes it anew when it starts", file)
	}
	return pool, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
