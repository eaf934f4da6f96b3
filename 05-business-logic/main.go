// Command 05-business-logic is chapters 1 to 5, live: behind the door and the edges,
// a replica of the order service, and beside it stand-ins for Stripe and SendGrid,
// each a process of its own. Package stage, of chapter 1, explains the command line;
// beyond that, it makes tokens:
//
//	go run ./05-business-logic -token ada -scope "orders:read orders:write"
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/03-reverse-proxy/gate"
	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/05-business-logic/api"
	"clicktocode.example/05-business-logic/replica"
)

func main() {
	if code, asked := guest.Command(os.Args[1:], os.Stdout, os.Stderr); asked {
		os.Exit(code)
	}
	stage.Main(stack(replica.Config{}))
}

// stack is what runs: with c, and what the environment says beyond it. With a key of
// Stripe's or SendGrid's in it, the real one takes the stand-in's place.
func stack(c replica.Config) (stage.Description, map[string]stage.Run) {
	var proxies string
	d, run := gate.New(gate.Config{
		Title: "Chapter 5: business logic. The chefs", Path: "/menu", API: api.Prefixes,
		What: "the bouncers, and the order service", Replicas: []string{"a"},
		Replica: func(_ context.Context, s *stage.Stage) (_ http.Handler, err error) {
			c := c
			c.Log = s.Log
			if c.Key, err = issuer.Open(""); err == nil {
				c.TrustedProxies, err = replica.Prefixes(proxies)
			}
			switch {
			case err != nil:
				return nil, err
			case strings.Contains(c.Stripe.Key, "_live_") && !c.Stripe.DangerouslyUseLiveKey:
				return nil, errors.New("STRIPE_SECRET_KEY is a live key, by which money moves: take one as in sk_test_…, or set DANGEROUSLY_CHARGE_REAL_CARDS=yes")
			case c.Mail.Key != replica.SendGridKey && c.Recipient == nil:
				return nil, errors.New("SENDGRID_API_KEY is set, and nobody here knows customers' addresses: set MAIL_TO to your own")
			}
			return replica.New(c)
		},
	})
	secret := func(name, what string) string {
		d.Env[name] = what // what it is stays out of this
		return stage.Env(name, "")
	}
	read := func(name, fallback, what string) string {
		value := stage.Env(name, fallback)
		d.Env[name] = what + ": " + value
		return value
	}
	proxies = read("TRUSTED_PROXIES", "127.0.0.1/32", "whose X-Forwarded-For the replica believes, as prefixes with commas between")
	c.Origins = replica.List(read("CORS_ORIGINS", "", "other origins whose scripts may use the replica, with commas between"))
	c.Development = read("GIN_MODE", "release", "release, or debug, with which gin prints its routes") == "debug"

	at, to := read("PAYMENTS_ADDR", "127.0.0.1:9201", "where payments listens"), d.Roles[len(d.Roles)-1].Addr
	c.WebhookSecret = secret("STRIPE_WEBHOOK_SECRET", "what Stripe signs events with, as in whsec_…; where it is empty, one is made for the stand-in")
	c.Stripe.DangerouslyUseLiveKey = read("DANGEROUSLY_CHARGE_REAL_CARDS", "no", "yes lets STRIPE_SECRET_KEY be as in sk_live_…, by which money moves") == "yes"
	if c.Stripe.Key = secret("STRIPE_SECRET_KEY", "a key as in sk_test_…, to use Stripe in place of the stand-in"); c.Stripe.Key == "" {
		c.Stripe.Key, c.Stripe.URL = replica.StripeKey, "http://"+at
		d.Roles = append(d.Roles, stage.Role{Name: "payments", What: "a stand-in for Stripe", Addr: at})
		run["payments"] = replica.Payments(at, to, c.WebhookSecret)
	}

	at = read("MAIL_ADDR", "127.0.0.1:9202", "where mail listens")
	c.Mail.From = read("MAIL_FROM", "The shop <orders@shop.test>", "who sends mail; SendGrid must have verified the address")
	if inbox := read("MAIL_TO", "", "who gets the mail of all customers; needed with a SENDGRID_API_KEY"); inbox != "" {
		c.Recipient = func(string) string { return inbox }
	}
	if c.Mail.Key = secret("SENDGRID_API_KEY", "a key as in SG.…, to use SendGrid in place of the stand-in"); c.Mail.Key == "" {
		c.Mail.Key, c.Mail.Host = replica.SendGridKey, "http://"+at
		d.Roles = append(d.Roles, stage.Role{Name: "mail", What: "a stand-in for SendGrid", Addr: at})
		run["mail"] = replica.Mail(at)
	}
	d.Try = append(replica.Try(d), d.Try...)
	return d, run
}
