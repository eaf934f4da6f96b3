package authority_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/authority"
	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
)

// TestMain is one of the processes of TestSideBySide, where the environment says so.
func TestMain(m *testing.M) {
	dir := os.Getenv("AUTHORITY_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until all are let go at once
	a, err := authority.Open(authority.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	cert, err := a.Current()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_ = pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
}

func TestOpen(t *testing.T) {
	t.Run("makes_an_authority_on_the_first_run", func(t *testing.T) {
		f := newFolder(t)
		a := f.open(t)
		for _, name := range []string{"shop.test", "www.shop.test", "localhost", "127.0.0.1", "::1"} {
			f.trusts(t, current(t, a), name)
		}
		assert.Contains(t, f.log.String(), "making one")
		assert.Equal(t, 1, bytes.Count(f.read(t, authority.CertificateFile), []byte("-----BEGIN")))
		assert.NotContains(t, string(f.read(t, authority.CertificateFile)), "KEY")
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o600), f.mode(t, authority.KeyFile), "whoever has the key is the authority")
			assert.Equal(t, os.FileMode(0o644), f.mode(t, authority.CertificateFile), "clients need it")
		}
	})

	t.Run("uses_the_one_that_is_there", func(t *testing.T) {
		f := newFolder(t)
		first := current(t, f.open(t))
		key, ca := f.read(t, authority.KeyFile), f.read(t, authority.CertificateFile)
		second := current(t, f.open(t))
		assert.Equal(t, key, f.read(t, authority.KeyFile))
		assert.Equal(t, ca, f.read(t, authority.CertificateFile))
		assert.NotEqual(t, first.Leaf.SerialNumber, second.Leaf.SerialNumber, "each process has a certificate of its own")
		f.trusts(t, first, "shop.test")
		f.trusts(t, second, "shop.test")
	})

	t.Run("issues_for_the_names_it_is_told", func(t *testing.T) {
		f := newFolder(t)
		f.cfg.Names = []string{"api.shop.test"}
		cert := current(t, f.open(t))
		f.trusts(t, cert, "api.shop.test")
		assert.Error(t, f.verify(t, cert, "shop.test"))
	})

	t.Run("writes_a_lost_certificate_anew", func(t *testing.T) {
		f := newFolder(t)
		f.open(t)
		ca := f.read(t, authority.CertificateFile)
		for _, damage := range []func(file string) error{
			os.Remove,
			func(file string) error { return os.WriteFile(file, ca[:100], 0o600) },
		} {
			require.NoError(t, damage(filepath.Join(f.cfg.Dir, authority.CertificateFile)))
			f.trusts(t, current(t, f.open(t)), "shop.test")
			assert.Equal(t, ca, f.read(t, authority.CertificateFile))
		}
	})
}

func TestDamage(t *testing.T) {
	for name, damage := range map[string]struct {
		do  func(t *testing.T, f *folder, file string)
		why string
	}{
		"an_empty_file": {func(t *testing.T, f *folder, file string) {
			require.NoError(t, os.WriteFile(file, nil, 0o600))
		}, "damaged"},
		"half_a_file": {func(t *testing.T, f *folder, file string) {
			require.NoError(t, os.Truncate(file, 300))
		}, "damaged"},
		"a_key_of_another": {func(t *testing.T, f *folder, file string) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			require.NoError(t, err)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			require.NoError(t, err)
			text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.read(t, authority.CertificateFile)...)
			require.NoError(t, os.WriteFile(file, text, 0o600))
		}, "damaged"},
		"a_server's_certificate": {func(t *testing.T, f *folder, file string) {
			a, err := certificate.NewAuthority(f.now)
			require.NoError(t, err)
			leaf, err := a.Issue(f.now, "shop.test")
			require.NoError(t, err)
			der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
			require.NoError(t, err)
			text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
				pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Leaf.Raw})...)
			require.NoError(t, os.WriteFile(file, text, 0o600))
		}, "no authority"},
		"a_key_that_others_can_read": {func(t *testing.T, f *folder, file string) {
			if runtime.GOOS == "windows" {
				t.Skip("Windows has no such mode")
			}
			require.NoError(t, os.Chmod(file, 0o644))
		}, "read by others"},
		"a_clock_that_was_wrong": {func(t *testing.T, f *folder, file string) {
			f.now = f.now.Add(-48 * time.Hour)
		}, "not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			old := current(t, f.open(t))
			damage.do(t, f, filepath.Join(f.cfg.Dir, authority.KeyFile))
			damaged := f.read(t, authority.KeyFile)
			f.log.Reset()

			f.trusts(t, current(t, f.open(t)), "shop.test")
			assert.Error(t, f.verify(t, old, "shop.test"), "the authority before is trusted no longer")
			assert.Equal(t, 1, strings.Count(f.log.String(), "making a new certificate authority"), "%s", f.log)
			assert.Contains(t, f.log.String(), damage.why)
			aside, err := filepath.Glob(filepath.Join(f.cfg.Dir, authority.KeyFile+".old-*"))
			require.NoError(t, err)
			require.Len(t, aside, 1, "what was there is kept")
			kept, err := os.ReadFile(aside[0])
			require.NoError(t, err)
			assert.Equal(t, damaged, kept)
		})
	}

	t.Run("a_folder_that_cannot_be_written", func(t *testing.T) {
		_, err := authority.Open(authority.Config{Dir: filepath.Join(t.TempDir(), "missing")})
		assert.ErrorContains(t, err, "missing")
	})
}

func TestCurrent(t *testing.T) {
	t.Run("renews_before_the_end", func(t *testing.T) {
		f := newFolder(t)
		a := f.open(t)
		first := current(t, a)
		f.now = f.now.Add(certificate.LeafLifetime / 2)
		assert.Same(t, first, current(t, a), "half of its life is left")
		f.now = f.now.Add(certificate.LeafLifetime / 4)
		second := current(t, a)
		assert.NotSame(t, first, second, "a quarter of its life is left")
		f.trusts(t, first, "shop.test")
		f.trusts(t, second, "shop.test")
	})

	t.Run("changes_the_authority_before_its_end_too", func(t *testing.T) {
		f := newFolder(t)
		running, other := f.open(t), certificate.AuthorityLifetime-certificate.LeafLifetime
		for at := time.Duration(0); at <= certificate.AuthorityLifetime+certificate.LeafLifetime; at += 12 * time.Hour {
			f.now = f.now.Add(12 * time.Hour)
			if at > other {
				other = 2 * certificate.AuthorityLifetime
				f.trusts(t, current(t, f.open(t)), "shop.test") // a second server starts, and brings in the next authority
				assert.Contains(t, f.log.String(), "near its end")
			}
			f.trusts(t, current(t, running), "shop.test") // the first one's certificate may be the old authority's
		}
	})

	t.Run("renews_once_for_many", func(t *testing.T) {
		f := newFolder(t)
		a := f.open(t)
		first := current(t, a)
		f.now = f.now.Add(certificate.LeafLifetime * 3 / 4)
		certs := make(chan *tls.Certificate, 50)
		var all sync.WaitGroup
		for range cap(certs) {
			all.Go(func() {
				cert, _ := a.Current()
				certs <- cert
			})
		}
		all.Wait()
		second := current(t, a)
		assert.NotSame(t, first, second)
		for range cap(certs) {
			if cert := <-certs; cert != first { // which is good for a while
				assert.Same(t, second, cert)
			}
		}
		assert.Equal(t, 1, strings.Count(f.log.String(), "renewed the server's certificate"), "%s", &f.log)
	})

	t.Run("says_that_it_failed_and_tries_again", func(t *testing.T) {
		f := newFolder(t)
		a := f.open(t)
		moved := f.cfg.Dir + "-moved"
		require.NoError(t, os.Rename(f.cfg.Dir, moved))
		f.now = f.now.Add(certificate.LeafLifetime * 3 / 4)
		for range 3 {
			_, err := a.Current()
			require.Error(t, err)
		}
		assert.Equal(t, 1, strings.Count(f.log.String(), "no new certificate"), "once a minute is enough: %s", f.log)
		require.NoError(t, os.Rename(moved, f.cfg.Dir))
		_, err := a.Current()
		require.Error(t, err, "the next try is a minute after the last")
		f.now = f.now.Add(time.Minute)
		f.trusts(t, current(t, a), "shop.test")
	})
}

func TestSideBySide(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, f *folder){
		"in_an_empty_folder":    func(*testing.T, *folder) {},
		"over_a_damaged_file":   func(t *testing.T, f *folder) { f.open(t); f.write(t, authority.KeyFile, "half a f") },
		"over_an_ending_one":    func(t *testing.T, f *folder) { f.now = f.now.Add(-25 * 24 * time.Hour); f.open(t) },
		"with_the_one_in_place": func(t *testing.T, f *folder) { f.open(t) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			prepare(t, f)
			gate, open, err := os.Pipe()
			require.NoError(t, err)
			var processes [6]*exec.Cmd
			var outs [len(processes)]bytes.Buffer
			for i := range processes {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), "AUTHORITY_TEST_DIR="+f.cfg.Dir, "GORACE=atexit_sleep_ms=0")
				cmd.Stdin, cmd.Stdout, cmd.Stderr = gate, &outs[i], &outs[i]
				require.NoError(t, cmd.Start())
				processes[i] = cmd
			}
			gate.Close()
			open.Close() // all read its end at once
			for i, cmd := range processes {
				require.NoError(t, cmd.Wait(), "%s", &outs[i])
			}
			f.now = time.Now()
			for i := range outs {
				block, _ := pem.Decode(outs[i].Bytes())
				require.NotNil(t, block, "%s", &outs[i])
				leaf, err := x509.ParseCertificate(block.Bytes)
				require.NoError(t, err)
				f.trusts(t, &tls.Certificate{Leaf: leaf}, "shop.test")
			}
			left, err := filepath.Glob(filepath.Join(f.cfg.Dir, "*"))
			require.NoError(t, err)
			assert.LessOrEqual(t, len(left), 4, "two files, the lock, and at most one kept aside: %q", left)
		})
	}
}

func TestPool(t *testing.T) {
	_, err := authority.Pool(t.TempDir())
	assert.ErrorIs(t, err, os.ErrNotExist)
	f := newFolder(t)
	f.write(t, authority.CertificateFile, "nothing")
	_, err = authority.Pool(f.cfg.Dir)
	assert.ErrorContains(t, err, "no certificate")
}

// folder is an authority's folder, at a time of the test's choice.
type folder struct {
	cfg authority.Config
	now time.Time
	log bytes.Buffer
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	f := &folder{now: time.Now()}
	f.cfg = authority.Config{
		Dir: filepath.Join(t.TempDir(), "keys"),
		Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		Now: func() time.Time { return f.now },
	}
	require.NoError(t, os.Mkdir(f.cfg.Dir, 0o700))
	return f
}

func (f *folder) open(t *testing.T) *authority.Authority {
	t.Helper()
	a, err := authority.Open(f.cfg)
	require.NoError(t, err)
	return a
}

func (f *folder) read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.cfg.Dir, name))
	require.NoError(t, err)
	return text
}

func (f *folder) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(f.cfg.Dir, name), []byte(text), 0o600))
}

func (f *folder) mode(t *testing.T, name string) os.FileMode {
	t.Helper()
	info, err := os.Stat(filepath.Join(f.cfg.Dir, name))
	require.NoError(t, err)
	return info.Mode().Perm()
}

// trusts checks that a client with the folder's ca.pem takes cert for the server called name.
func (f *folder) trusts(t *testing.T, cert *tls.Certificate, name string) {
	t.Helper()
	assert.NoError(t, f.verify(t, cert, name), "%s at %s", name, f.now)
}

func (f *folder) verify(t *testing.T, cert *tls.Certificate, name string) error {
	t.Helper()
	pool, err := authority.Pool(f.cfg.Dir)
	require.NoError(t, err)
	_, err = cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: f.now})
	return err
}

func current(t *testing.T, a *authority.Authority) *tls.Certificate {
	t.Helper()
	cert, err := a.Current()
	require.NoError(t, err)
	return cert
}
