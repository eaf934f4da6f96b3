// Package guest hands out tokens to those who try the stack. Each comes from
// nowhere: nobody is asked for a password. It stands in for what a house has in
// its place, a login by OpenID Connect, a device that was enrolled, and it has no
// business outside of a laptop.
//
//	go run ./04-middleware -token ada -scope orders:write     Command, for a shell
//	POST /session                                             Session, for the shop's page
package guest

import (
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/issuer"
)

// Scopes are what a guest may do.
var Scopes = []string{"orders:read", "orders:write"}

const (
	pageTime = time.Hour      // how long a page's token is good
	tryTime  = 12 * time.Hour // and one that is printed when the stack starts
)

// Session answers with a token for a new guest, who may do what Scopes say:
//
//	201 {"token": "eyJ…", "expires_in": 3600}
//
// Each call makes another guest, with orders of their own.
func Session(key *issuer.Key) gin.HandlerFunc {
	return func(c *gin.Context) {
		token, err := key.Sign("guest-"+rand.Text()[:8], Scopes, pageTime)
		if err != nil {
			panic(err) // of arguments that are right
		}
		c.Header("Cache-Control", "no-store") // RFC 6749 §5.1
		c.JSON(http.StatusCreated, gin.H{"token": token, "expires_in": int(pageTime.Seconds())})
	}
}

// Try are things to do with tokens, for who goes to url's host.
func Try(key *issuer.Key, url string) ([]stage.Try, error) {
	token, err := key.Sign("ada", Scopes, tryTime)
	if err != nil {
		return nil, err
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	order := func(header string) string {
		return fmt.Sprintf(`curl -i --cacert .workshop/ca.pem --resolve %s:127.0.0.1 %s-H 'Content-Type: application/json' -d '{"lines": [{"dish": "ramen", "quantity": 1}]}' https://%s/orders`, host, header, host)
	}
	return []stage.Try{
		{What: "an order of nobody, which is refused", Command: order("")},
		{What: "one of ada, whose token is good for 12 hours; then take the last letter of it away", Command: order("-H 'Authorization: Bearer " + token + "' ")},
		{What: "a token for anybody else", Command: `go run ./04-middleware -token bob -scope "orders:read orders:write"`},
	}, nil
}

// Command prints a token, if args begin with -token:
//
//	-token SUBJECT [-scope "SCOPE SCOPE"] [-for 1h]
//
// code is the exit code then. Otherwise asked is false, and nothing is done.
func Command(args []string, stdout, stderr io.Writer) (code int, asked bool) {
	if len(args) == 0 || !regexp.MustCompile(`^--?token(=|$)`).MatchString(args[0]) {
		return 0, false
	}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(stderr)
	subject := flags.String("token", "", "print a token for this subject, a customer's ID, and end")
	scope := flags.String("scope", "", "what it allows, separated by spaces, as \"orders:read orders:write\"")
	lifetime := flags.Duration("for", time.Hour, "how long it is good")
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: -token SUBJECT [-scope \"SCOPE SCOPE\"] [-for 1h]\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2, true // flags has said why
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "guest: %q is one word too many: put scopes in quotes\n\n", flags.Arg(0))
		flags.Usage()
		return 2, true
	}
	key, err := issuer.Open("")
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1, true
	}
	token, err := key.Sign(*subject, strings.Fields(*scope), *lifetime)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2, true
	}
	fmt.Fprintln(stdout, token)
	return 0, true
}
