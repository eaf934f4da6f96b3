package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"clicktocode.example/01-dns-tcp-tls/solution/certificate"
	"clicktocode.example/02-load-balancer/peer"
)

// mode is what is measured.
type mode string

const (
	plain   mode = "http"
	proxied mode = "tls"
	hit     mode = "hit"
)

var titles = map[mode]string{
	plain:   "proxied, HTTP/1.1",
	proxied: "proxied, TLS 1.3",
	hit:     "cache hits, TLS 1.3",
}

func modeNames() []string { return []string{string(plain), string(proxied), string(hit)} }

const cachedPath = "/cached/"

// contender is a server that is measured: a program, or a role of this one.
type contender struct {
	name    string
	program peer.Program // empty: a role of that name
	config  func(s *settings, l listeners) string
}

// contenders are set alike: connections to upstreams are kept, clients may ask
// over one connection as often as they like, nothing is logged, as many threads
// as there are cores, HTTP/1.1 alone, TLS 1.3, and who asked is passed on in
// X-Forwarded-For.
var contenders = []contender{
	{"nginx", peer.Nginx, nginxConfig},
	{"haproxy", peer.HAProxy, haproxyConfig},
	{"ours", "", nil},
	{"caddy", peer.Caddy, caddyConfig},
	{"reverseproxy-tuned", "", nil},
	{"reverseproxy", "", nil},
}

func names() (all []string) {
	for _, c := range contenders {
		all = append(all, c.name)
	}
	return all
}

// settings are what all contenders are given.
type settings struct {
	upstreams []string
	cert, key []byte // PEM
	roots     *x509.CertPool
}

const host = "shop.test"

// newSettings makes the certificate, in memory.
func newSettings(upstreams map[mode]string) (*settings, error) {
	s := &settings{roots: x509.NewCertPool()}
	for _, addr := range upstreams {
		s.upstreams = append(s.upstreams, addr)
	}
	now := time.Now()
	authority, err := certificate.NewAuthority(now)
	if err != nil {
		return nil, err
	}
	leaf, err := authority.Issue(now, host)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		return nil, err
	}
	s.roots.AddCert(authority.Certificate)
	s.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Leaf.Raw})
	s.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return s, nil
}

// request is what is sent in mode m.
func (s *settings) request(m mode) request {
	r := request{text: []byte("GET /menu HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")}
	if m == hit {
		r.text = []byte(strings.Replace(string(r.text), "/menu", cachedPath+"menu", 1))
	}
	if m != plain {
		r.tls = &tls.Config{RootCAs: s.roots, ServerName: host, MinVersion: tls.VersionTLS13}
	}
	return r
}

// asked is how many requests the upstreams have had.
func (s *settings) asked(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.upstreams[0]+countPath, nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// listeners are where a program is to listen, and its files.
type listeners struct {
	addr map[mode]string
	pem  string // certificate and key in one
	dir  string
}

// start starts c, with a profile written to a file unless that is empty.
func (c contender) start(ctx context.Context, s *settings, profile string) (*running, error) {
	if c.program == "" {
		return startChild(ctx, assignment{Role: c.name, Upstreams: s.upstreams, Cert: s.cert, Key: s.key, Profile: profile})
	}
	var l listeners
	var configErr error
	p, err := peer.Start(ctx, c.program, func(dir, addr string) string {
		l = listeners{addr: map[mode]string{plain: addr}, pem: filepath.Join(dir, "pem"), dir: dir}
		for _, m := range []mode{proxied, hit} {
			var err error
			l.addr[m], err = peer.Addr()
			configErr = errors.Join(configErr, err)
		}
		both := append(append([]byte{}, s.cert...), s.key...)
		configErr = errors.Join(configErr, os.WriteFile(l.pem, both, 0o600))
		return c.config(s, l)
	})
	if err := errors.Join(configErr, err); err != nil {
		return nil, err
	}
	if c.program == peer.Caddy {
		delete(l.addr, hit)
	}
	return &running{addrs: l.addr, pid: p.Pid(), stop: p.Close}, nil
}

func nginxConfig(s *settings, l listeners) string {
	proxy := `proxy_pass http://shop;
		proxy_http_version 1.1;
		proxy_set_header Connection "";
		proxy_set_header Host $host;
		proxy_set_header X-Forwarded-For $remote_addr;`
	return fmt.Sprintf(`
	access_log off;
	keepalive_requests 1000000000;
	ssl_certificate %[1]s;
	ssl_certificate_key %[1]s;
	ssl_protocols TLSv1.3;
	upstream shop { server %[2]s; keepalive 256; keepalive_requests 1000000000; }
	proxy_cache_path %[3]s/cache keys_zone=edge:10m max_size=64m;
	server { listen %[4]s; location / { %[7]s } }
	server { listen %[5]s ssl; location / { %[7]s } }
	server { listen %[6]s ssl; location / { %[7]s proxy_cache edge; proxy_cache_lock on; } }`,
		l.pem, strings.Join(s.upstreams, "; server "), l.dir, l.addr[plain], l.addr[proxied], l.addr[hit], proxy)
}

func haproxyConfig(s *settings, l listeners) string {
	servers := ""
	for i, addr := range s.upstreams {
		servers += fmt.Sprintf("\n server s%d %s", i, addr)
	}
	return fmt.Sprintf(`
global
 maxconn 8192
cache edge
 total-max-size 64
 max-age 3600
defaults
 mode http
 timeout connect 3s
 timeout client 60s
 timeout server 30s
 option forwardfor
 http-reuse always
frontend plain
 bind %[2]s
 default_backend shop
frontend tls
 bind %[3]s ssl crt %[1]s ssl-min-ver TLSv1.3 alpn http/1.1
 default_backend shop
frontend cached
 bind %[4]s ssl crt %[1]s ssl-min-ver TLSv1.3 alpn http/1.1
 http-request cache-use edge
 http-response cache-store edge
 default_backend shop
backend shop
 balance roundrobin%[5]s
`, l.pem, l.addr[plain], l.addr[proxied], l.addr[hit], servers)
}

// caddyConfig is without a cache: Caddy has none of its own.
func caddyConfig(s *settings, l listeners) string {
	port := func(m mode) string { _, p, _ := net.SplitHostPort(l.addr[m]); return p }
	return fmt.Sprintf(`
{
	admin off
	auto_https off
	servers {
		protocols h1
	}
}
(proxy) {
	bind 127.0.0.1
	reverse_proxy %[1]s {
		lb_policy round_robin
		transport http {
			keepalive_idle_conns_per_host 256
		}
	}
}
http://:%[2]s {
	import proxy
}
https://:%[3]s {
	import proxy
	tls %[4]s %[4]s
}
`, strings.Join(s.upstreams, " "), port(plain), port(proxied), l.pem)
}
