module clicktocode.example/03-reverse-proxy

go 1.26.0

replace (
	clicktocode.example/01-dns-tcp-tls => ../01-dns-tcp-tls
	clicktocode.example/02-load-balancer => ../02-load-balancer
)

require (
	clicktocode.example/01-dns-tcp-tls v0.0.0
	clicktocode.example/02-load-balancer v0.0.0
	github.com/andybalholm/brotli v1.2.8
	github.com/chromedp/chromedp v0.23.0
	github.com/klauspost/compress v1.20.3
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/net v0.62.0
)

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/miekg/dns v1.1.73 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
