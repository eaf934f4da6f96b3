module clicktocode.example/02-load-balancer

go 1.26.0

replace clicktocode.example/01-dns-tcp-tls => ../01-dns-tcp-tls

require (
	clicktocode.example/01-dns-tcp-tls v0.0.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/miekg/dns v1.1.73 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
